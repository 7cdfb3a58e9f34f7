"""A notebook's cell without a kernel: IPython runs it, its outputs come back as nbformat's."""

import ast
import base64
import contextlib
import io
import linecache
import re
import sys
import traceback
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

SHOWN = ("text/plain", "image/png", "image/jpeg")
"""What a page may show of an output. HTML, SVG and JavaScript could act in the reader's browser."""

CUT = "\n[the output was cut here: it is longer than {} KiB]\n"


@dataclass
class Outcome:
    """How a cell ended. ``error`` is what it raised; ``value`` that of its last expression."""

    outputs: list[dict] = field(default_factory=list)
    error: BaseException | None = None
    value: object = None


class Recorder:
    """Collects the outputs of one cell, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self.outputs: list[dict] = []
        self.limit = self.left = limit

    def text(self, stream: str, text: str) -> None:
        """Add to a stream; merge with what came just before."""
        text = self._cut(text)
        if not text:
            return
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == stream:
            last["text"] += text
        else:
            self.outputs.append({"output_type": "stream", "name": stream, "text": text})

    def data(self, kind: str, data: dict) -> None:
        """Add a display or a result, in the forms that a page may show."""
        shown = {}
        for name in SHOWN:
            content = data.get(name)
            if isinstance(content, bytes):
                content = base64.b64encode(content).decode()
            if not isinstance(content, str):
                continue
            if name == "text/plain":
                shown[name] = self._cut(content)
            elif len(content) <= self.left:
                self.left -= len(content)
                shown[name] = content
        if shown:
            extra = {"execution_count": None} if kind == "execute_result" else {}
            self.outputs.append({"output_type": kind, "data": shown, "metadata": {}, **extra})

    def _cut(self, text: str) -> str:
        if self.left <= 0:
            return ""
        if len(text) > self.left:
            text = text[: self.left] + CUT.format(self.limit // 1024)
            self.left = 0
        self.left -= len(text)
        return text.encode("utf-8", "replace").decode()  # no lone surrogates in a file


class _Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of a cell."""

    encoding = "utf-8"

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._recorder.text(self._name, text)
        return len(text)


class _Publisher(DisplayPublisher):
    recorder: Recorder | None = None

    def publish(self, data, metadata=None, **_more) -> None:
        if self.recorder is not None:
            self.recorder.data("display_data", data)

    def clear_output(self, wait=False) -> None:
        pass


class _Hook(DisplayHook):
    recorder: Recorder | None = None

    def quiet(self) -> bool:
        return self.shell.cell_source.rstrip().endswith(";")

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict, md_dict=None) -> None:
        if self.recorder is not None:
            self.recorder.data("execute_result", format_dict)

    def finish_displayhook(self) -> None:
        self._is_active = False


class _Shell(InteractiveShell):
    """An IPython that neither talks to a terminal nor starts programs."""

    displayhook_class = _Hook
    display_pub_class = _Publisher

    def showtraceback(self, *_arguments, **_options) -> None:
        pass  # the caller formats the error

    def showsyntaxerror(self, *_arguments, **_options) -> None:
        pass

    def system(self, cmd: str):
        raise PermissionError(
            f"`!{cmd.strip()[:80]}` starts a program, which is not available while grading"
        )

    system_piped = system_raw = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0):
        return self.system(cmd)

    def enable_gui(self, gui=None) -> None:
        pass

    def ask_exit(self) -> None:
        raise SystemExit


def make_shell() -> _Shell:
    """The shell of this process, ready to run cells; made once, before forks."""
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryAccessor.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.autocall = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shell = _Shell.instance(config=config, user_module=types.ModuleType("__main__"))
    shell.colors = "nocolor"
    shell.compile.get_code_name = lambda raw, transformed, number: shell.cell_file
    shell.cell_file = shell.cell_source = ""
    warnings.filterwarnings("ignore", message="To exit: use")
    return shell


def show_figures_inline(shell: InteractiveShell) -> None:
    """Draw figures as a notebook does: at the end of the cell that made them."""
    import matplotlib
    import matplotlib_inline.backend_inline as backend
    from matplotlib import pyplot

    matplotlib.interactive(True)
    pyplot.switch_backend("module://matplotlib_inline.backend_inline")
    backend.configure_inline_support(shell, "module://matplotlib_inline.backend_inline")


@contextlib.contextmanager
def recording(shell: InteractiveShell, recorder: Recorder) -> Iterator[None]:
    """Send what is printed and displayed to ``recorder``."""
    saved = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(recorder, "stdout"), _Stream(recorder, "stderr")
    shell.displayhook.recorder = shell.display_pub.recorder = recorder
    try:
        yield
    finally:
        sys.stdout, sys.stderr = saved
        shell.displayhook.recorder = shell.display_pub.recorder = None


def run_cell(shell: InteractiveShell, source: str, name: str, limit: int) -> Outcome:
    """Run one cell as a notebook would.

    Args:
        shell: see :func:`make_shell`.
        source: the cell's text, magics included.
        name: of the cell, for tracebacks.
        limit: bytes of output to keep.
    """
    if is_python(source) and (cell := prepare(source, name)) is not None:
        return run_prepared(shell, cell, limit)  # the same, several times as fast
    recorder, outcome = Recorder(limit), Outcome()
    shell.cell_file, shell.cell_source = cell_file(name), source
    with recording(shell, recorder):
        try:
            result = shell.run_cell(source, store_history=False)
            outcome.error = result.error_before_exec or result.error_in_exec
            outcome.value = result.result
        except BaseException as error:  # SystemExit and friends from outside the user's code
            outcome.error = error
    outcome.outputs = recorder.outputs
    return outcome


@dataclass(frozen=True)
class Prepared:
    """A compiled cell: its statements, and its last expression if it ends in one."""

    name: str
    statements: types.CodeType
    last: types.CodeType | None


def prepare(source: str, name: str) -> Prepared | None:
    """Compile one of the instructor's cells, once for all submissions.

    Returns:
        None for a cell that only IPython itself can run, such as one with ``await`` at the top.
    """
    try:
        text = source if is_python(source) else TransformerManager().transform_cell(source)
        tree = ast.parse(text)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not text.rstrip().endswith(";"):
            last = ast.Expression(tree.body.pop().value)
        file = cell_file(name)
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        return Prepared(name, compile(tree, file, "exec"), last and compile(last, file, "eval"))
    except SyntaxError:
        return None


def is_python(source: str) -> bool:
    """Is there nothing in the cell that only IPython understands? (May say no for plain Python.)"""
    return not re.search(r"^\s*[%!?,;/]|[!?]\s*$|=\s*[%!]|^%%", source, re.MULTILINE)


def run_prepared(shell: InteractiveShell, cell: Prepared, limit: int) -> Outcome:
    """Run a compiled cell as :func:`run_cell` runs its text; see there."""
    recorder, outcome = Recorder(limit), Outcome()
    shell.cell_file, shell.cell_source = cell_file(cell.name), ""
    with recording(shell, recorder):
        try:
            exec(cell.statements, shell.user_ns)
            if cell.last is not None:
                outcome.value = eval(cell.last, shell.user_ns)
                shell.displayhook(outcome.value)
            shell.events.trigger("post_execute")  # figures are drawn now
        except BaseException as error:
            outcome.error = error
    outcome.outputs = recorder.outputs
    return outcome


def cell_file(name: str) -> str:
    """The file name that tracebacks show for a cell."""
    return f"<cell {name}>"


def traceback_lines(error: BaseException, limit: int = 20) -> list[str]:
    """The error as Python prints it, cut to the frames that stand in cells."""
    try:
        summary = traceback.TracebackException.from_exception(error, limit=-400, compact=True)
        frames = [frame for frame in summary.stack if frame.filename.startswith("<cell ")]
        lines = []
        for frame in frames[-limit:]:
            lines.append(f"{frame.filename[1:-1]}, line {frame.lineno}, in {frame.name}")
            line = (frame.line or _source_line(frame.filename, frame.lineno)).strip()
            if line:
                lines.append(f"    {line[:200]}")
        return lines
    except Exception:  # a hostile exception class
        return []


def _source_line(file: str, number: int | None) -> str:
    return linecache.getline(file, number or 0)


def error_text(error: BaseException) -> tuple[str, str]:
    """Class name and message of an exception that may be of a hostile class."""
    name = type.__getattribute__(type(error), "__name__")
    try:
        text = str(error)
    except BaseException:
        text = "(its message cannot be shown)"
    text = text[:4000] if isinstance(text, str) else ""
    return name, text.encode("utf-8", "replace").decode()
