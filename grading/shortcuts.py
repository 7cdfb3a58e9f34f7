"""Names that a task forbids: finding them in the text of a submission."""

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from grading.aliases import OPERATOR, with_aliases
from grading.blocker import Blocker, ForbiddenName
from grading.meanings import Cell, Notebook, Statement

__all__ = ["Blocker", "ForbiddenName", "Shortcut", "find_shortcuts", "with_aliases"]

DYNAMIC = {
    *("getattr", "attrgetter", "methodcaller", "vars", "globals", "locals", "builtins"),
    *("__builtins__", "__import__", "import_module", "find_spec", "eval", "exec", "compile"),
}
DYNAMIC_ATTRIBUTES = {
    *("attrgetter", "methodcaller", "__dict__", "__getattribute__", "__getattr__", "__import__"),
    *("import_module", "find_spec", "run_line_magic", "run_cell_magic", "run_cell", "modules"),
}
"""With one of these in the code, a text may stand for a name. (``model.eval`` is none.)"""
CODE = {"eval", "exec", "compile", "run_line_magic", "run_cell_magic", "run_cell", "builtins"}
"""With one of these, a text may be code."""


@dataclass(frozen=True)
class Shortcut:
    """A forbidden name in an answer.

    Args:
        task: grade_id of the answer.
        name: as the policy has it.
        line: where it stands, in the answer or in the helper's cell.
        text: that line.
        helper: whether it stands in another cell, which the answer uses.
    """

    task: str
    name: str
    line: int
    text: str
    helper: bool = False

    @property
    def message(self) -> str:
        """For the student and the instructor."""
        where = f"line {self.line}" + (" of another cell" if self.helper else "")
        return f"{self.task} uses {self.name} ({where}), which this task does not allow."


def find_shortcuts(
    answers: Mapping[str, str | Sequence[str]],
    others: Sequence[str],
    forbidden: Mapping[str, Sequence[str]],
) -> list[Shortcut]:
    """Forbidden names that answers use, directly or through what other cells define.

    A function of the student's own that is called the same is none, nor are keyword arguments,
    comments and texts that nothing could turn into a name. A cell that is not Python cannot run and
    has none; in one that is too long or too deep to be parsed, the mere word counts. Each name is
    reported once for a task.

    Args:
        answers: the submission's text of each answer cell, by grade_id; a list for several copies.
        others: its other code cells, and those of the instructor's that students see.
        forbidden: for each task the names of the policy; :func:`with_aliases` adds their twins.
    """
    if not any(forbidden.get(task) for task in answers):
        return []
    texts: list[str] = []
    places: dict[str, range] = {}
    for task, answer in answers.items():
        copies = [answer] if isinstance(answer, str) else answer
        places[task] = range(len(texts), len(texts) + len(copies))
        texts += copies
    notebook = Notebook([*texts, *others])
    found = []
    for task, numbers in places.items():
        rules = Rules(forbidden.get(task, ()), notebook)
        own = [notebook.cells[number] for number in numbers]
        whole = [*own, *notebook.cells[len(texts) :]]
        uses: dict[str, Shortcut] = {}
        for cell, line, name in rules.uses(numbers, whole) if rules.names else ():
            text = "".join(cell.lines[line - 1 : line]).strip()[:200]
            helper = not any(cell is one for one in own)
            one = Shortcut(task, name, line, text, helper)
            known = uses.setdefault(name, one)
            if (one.helper, one.line, one.text) < (known.helper, known.line, known.text):
                uses[name] = one
        found += sorted(uses.values(), key=lambda one: (one.helper, one.line, one.name))
    return found


class Rules:
    """The forbidden names of one task, with their twins.

    Args:
        names: as the policy has them.
        notebook: the cells to which they are applied.
    """

    def __init__(self, names: Sequence[str], notebook: Notebook) -> None:
        self.notebook = notebook
        self.names: dict[str, str] = {}
        for name in names:
            self.names[_path(name)] = name
        for name in names:
            for twin in with_aliases(name):
                self.names.setdefault(_path(twin), name)
        self.patterns = [path for path in self.names if "*" in path]
        self.last = {  # of functions of the language only the bare name counts
            path.rpartition(".")[2]: name
            for path, name in reversed(self.names.items())
            if not hasattr(builtins, path)
        }

    def uses(self, numbers: range, whole: Sequence[Cell]) -> Iterator[tuple[Cell, int, str]]:
        """Cell, line and name of what the cells ``numbers`` use.

        Of the cells of ``whole`` that could not be parsed, every word counts.
        """
        reached = list(self.notebook.reached(numbers))
        words = set()
        for _, statement in reached:
            for node in ast.walk(statement.node):
                words |= {node.id} & DYNAMIC if isinstance(node, ast.Name) else set()
                words |= (
                    {node.attr} & DYNAMIC_ATTRIBUTES if isinstance(node, ast.Attribute) else set()
                )
        for cell, statement in reached:
            yield from (
                (cell, line, name) for line, name in self._in_statement(cell, statement, words)
            )
        for cell in whole:
            if cell.statements is None:
                for line, text in enumerate(cell.lines, 1):
                    if name := self._in_code(text):
                        yield cell, line, name

    def _in_statement(
        self, cell: Cell, statement: Statement, words: set[str]
    ) -> Iterator[tuple[int, str]]:
        nodes = list(ast.walk(statement.node))
        shown = {  # docstrings and other texts that stand alone
            id(node.value)
            for node in nodes
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in nodes:
            name = None
            if isinstance(node, ast.Import):
                name = self._first(one.name for one in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                name = self._first(f"{node.module}.{one.name}" for one in node.names)
            elif isinstance(node, ast.Name):
                name = self._first(self.notebook.meanings(cell, node))
            elif isinstance(node, ast.Attribute):
                name = self._of_attribute(cell, node)
            elif words and id(node) not in shown and (text := _text(node)):
                name = self._of_text(text, bool(words & CODE))
            if name:
                yield node.lineno, name

    def _first(self, paths: Iterator[str] | set[str]) -> str | None:
        return next(filter(None, map(self._of_path, sorted(paths))), None)

    def _of_path(self, path: str) -> str | None:
        """The forbidden name that ``path`` is, or lies in."""
        path = path.removeprefix("builtins.") if len(path) < 500 else ""
        while path:
            if path in self.names:
                return self.names[path]
            for pattern in self.patterns:
                if fnmatchcase(path, pattern):
                    return self.names[pattern]
            path = path.rpartition(".")[0]
        return None

    def _of_attribute(self, cell: Cell, node: ast.Attribute) -> str | None:
        """By its path, or of an object that nobody knows by its last name: ``x.softmax``."""
        paths = self.notebook.meanings(cell, node)
        if name := self._first(paths):
            return name
        library = any(path.partition(".")[0] in self.notebook.libraries for path in paths)
        if library and node.attr not in self.names:  # a library in a library is one all the same
            return None
        return None if self._is_usual(node.attr) else self.last.get(node.attr)

    def _is_usual(self, attribute: str) -> bool:
        """Do the student's own classes, or texts, lists and so on, have it too?"""
        plain = (str, bytes, list, dict, set, tuple, int, float, complex)
        return attribute in self.notebook.methods or any(hasattr(one, attribute) for one in plain)

    def _of_text(self, text: str, code: bool) -> str | None:
        """The forbidden name that a text spells, or, where it may be code, holds."""
        if name := self._of_path(text):
            return name
        last = text.rpartition(".")[2]
        if last in self.last and text.replace(".", "").isidentifier():
            return None if last in self.notebook.methods else self.last[last]
        return self._in_code(text) if code else None

    def _in_code(self, text: str) -> str | None:
        words = "".join(sign if sign.isalnum() or sign == "_" else " " for sign in text)
        return next((self.last[word] for word in words.split() if word in self.last), None)


def _path(name: str) -> str:
    return name.replace(OPERATOR, "torch.ops.aten.")


def _text(node: ast.AST) -> str:
    """The text that an expression of constants is: ``"soft" + "max"``."""
    parts, stack = [], [node]
    while stack and len(parts) < 50:
        part = stack.pop()
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            parts.append(part.value)
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            stack += [part.right, part.left]
        elif isinstance(part, ast.JoinedStr):
            stack += reversed(part.values)
        elif isinstance(part, ast.FormattedValue):
            stack.append(part.value)
        else:
            return ""
    return "".join(parts)
