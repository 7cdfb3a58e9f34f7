"""Which names of a notebook are the student's, and what of it the examiner runs himself."""

import ast
import symtable
import warnings

from IPython.core.inputtransformer2 import TransformerManager

from grading.course import GradingError
from grading.engine.bundle import SourceCell, SourceNotebook

IN_PLACE = ("%%time", "%%capture", "%%prun")
"""Cell magics that run the rest of the cell as Python, in the same namespace."""
SHOWN_ONLY = {"print", "display", "help", "input"}


class SourceError(GradingError):
    """A cell of the instructor's edition is not Python."""


def student_names(notebook: SourceNotebook) -> frozenset[str]:
    """The names that students define: what tests reach through proxies.

    These are the names that answer cells bind at top level, in the model answer or in the released
    stub, and what plain cells make of them (``result = squares(10)``). Imported modules and what
    is imported from them are not the student's, also where an answer cell imports them: a test
    that calls ``np.allclose`` means the library, not whatever the submission calls ``np``.

    Raises:
        SourceError: a cell is not Python.
    """
    found, plain, fixed = set(), [], set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        names = _names(cell)
        if _is_answer(cell):
            found |= set().union(*(one.bound for one in [*names, *_names_of_stub(cell)]))
        elif _is_plain(cell):
            plain += names
        for one in names:
            fixed |= one.imported | (one.bound if _is_definition(one.statement) else set())
    # Objects of plain cells that a statement may fill with the student's results.
    data = set().union(*(one.bound for one in plain)) - fixed
    before = -1
    while len(found) != before:
        before = len(found)
        for one in plain:
            if one.read & found:
                found |= one.bound | (one.changed & data)
    return frozenset(found)


def examiner_source(cell: SourceCell, student: frozenset[str]) -> str:
    """The part of a cell that the examiner runs.

    Of locked and test cells all. Of plain cells what has nothing to do with a student's name, so
    that tests find the helpers and data that such cells make; expressions that only show something
    and magics are left out. Of answer cells the imports. Of texts nothing.

    Raises:
        SourceError: the cell is not Python.
    """
    if cell.cell_type != "code":
        return ""
    names = _names(cell)
    if cell.kind in ("locked", "test"):
        return cell.source
    if _is_answer(cell):
        kept = [one for one in names if isinstance(one.statement, ast.Import | ast.ImportFrom)]
    else:
        kept = [one for one in names if _is_examiners(one, student)]
    return ast.unparse(ast.Module([one.statement for one in kept], []))


def ends_with_student_call(source: str, student: frozenset[str]) -> bool:
    """Is the last expression of a test cell something that the student made?

    Such a value is not the instructor's partial credit. ``f(2)``, ``f(2)[0]``, ``-f(2)`` and
    ``result.points`` are the student's; so is ``score`` after ``score = f(2)``, but not after
    ``score = 0.5``.

    Raises:
        SourceError: the source is not Python.
    """
    names = _names_in(source, "the test cell")
    if not names or not isinstance(names[-1].statement, ast.Expr):
        return False
    root = root_name(names[-1].statement.value)
    for one in reversed(names[:-1]):
        if root in one.bound:
            value = getattr(one.statement, "value", None)
            return value is not None and root_name(value) in student
    return root in student


def parse_cell(source: str) -> list[ast.stmt]:
    """The statements of a cell, IPython's magics and shell lines turned into calls.

    Raises:
        SyntaxError: it is not Python.
        ValueError, RecursionError, MemoryError: it is nothing that Python can read.
    """
    first, _, rest = source.lstrip().partition("\n")
    if first.split(" ")[0] in IN_PLACE:
        source = rest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape is not our business
        try:
            tree = ast.parse(source)
        except SyntaxError:
            tree = ast.parse(_transformed(source))
        return [inner for one in tree.body for inner in _out_of_magic(one)]


def _transformed(source: str) -> str:
    try:
        return TransformerManager().transform_cell(source)
    except SyntaxError:
        raise
    except Exception as error:  # of the tokenizer
        raise SyntaxError(str(error)) from error


def _out_of_magic(statement: ast.stmt) -> list[ast.stmt]:
    """``%time x = f()`` binds x: look into it."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if _is_magic(call) and call.func.attr == "run_line_magic" and len(call.args) == 2:
        name, code = (part.value if isinstance(part, ast.Constant) else "" for part in call.args)
        if name in ("time", "prun"):
            try:
                return ast.parse(code).body
            except SyntaxError:
                return [statement]
    return [statement]


def _is_magic(node: ast.AST | None) -> bool:
    """Is it ``get_ipython().something(...)``?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "get_ipython"
    )


def _names_in(source: str, where: str) -> list["Names"]:
    """One for each statement of a source.

    Raises:
        SourceError: it is not Python.
    """
    try:
        return [Names(statement) for statement in parse_cell(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SourceError(f"{where}{line} is not Python: {reason}") from error


def _names(cell: SourceCell) -> list["Names"]:
    where = f"cell {cell.grade_id}" if cell.grade_id else f"the cell {cell.source[:40]!r}"
    try:
        return _names_in(cell.source, where)
    except SourceError:
        if _is_plain(cell):  # it shows an error, in the student's notebook too, and goes on
            return []
        raise


def _names_of_stub(cell: SourceCell) -> list["Names"]:
    try:
        return _names_in(cell.public, cell.grade_id)
    except SourceError:
        return []  # a function without its body: the model answer has all names


def _is_answer(cell: SourceCell) -> bool:
    return cell.kind in ("answer", "written") and cell.cell_type == "code"


def _is_plain(cell: SourceCell) -> bool:
    return cell.kind == "" and cell.cell_type == "code"


def _is_definition(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _is_examiners(one: "Names", student: frozenset[str]) -> bool:
    if (one.read | one.bound | one.imported) & (student | {"get_ipython"}):
        return False
    if isinstance(one.statement, ast.Expr):
        call = one.statement.value
        return isinstance(call, ast.Call) and root_name(call) not in SHOWN_ONLY
    return True


class Names:
    """What a statement binds, imports and reads at top level, inner scopes included."""

    def __init__(self, statement: ast.stmt) -> None:
        self.statement = statement
        self.bound: set[str] = set()
        self.imported: set[str] = set()
        self.read: set[str] = set()
        top = symtable.symtable(ast.unparse(statement), "a cell", "exec")
        tables = [top]
        while tables:
            table = tables.pop()
            tables += table.get_children()
            for symbol in table.get_symbols():
                if table is top or symbol.is_global():
                    self._add(symbol)
        if isinstance(statement, ast.AugAssign):
            self.read.add(root_name(statement.target))

    def _add(self, symbol: symtable.Symbol) -> None:
        if symbol.is_imported():
            self.imported.add(symbol.get_name())
        elif symbol.is_assigned():
            self.bound.add(symbol.get_name())
        if symbol.is_referenced():
            self.read.add(symbol.get_name())

    @property
    def changed(self) -> set[str | None]:
        """Names whose object it changes: ``x[0] = ...``, ``x.y = ...``, ``x.append(...)``."""
        names = set()
        for node in ast.walk(self.statement):
            stored = isinstance(node, ast.Attribute | ast.Subscript)
            if stored and not isinstance(node.ctx, ast.Load):
                names.add(root_name(node))
            called = node.value if isinstance(node, ast.Expr) else None
            if isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute):
                names.add(root_name(called))
        return names


def root_name(node: ast.AST) -> str | None:
    """``x`` for x, x(...), x.y, x[0], -x and any chain of these."""
    while True:
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Await):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.UnaryOp):
            node = node.operand
        else:
            return node.id if isinstance(node, ast.Name) else None
