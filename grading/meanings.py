"""What the names in a student's cells may stand for, found in the text alone."""

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from grading.engine.names import Names, parse_cell

MAX_SOURCE = 200_000
MAX_TOTAL = 500_000
"""Characters of one cell, and of all, that are parsed."""
MAX_MAGIC = 100
"""Lines that may be IPython's, in a cell that is not Python as it stands: each costs a pass."""
MAX_PATHS = 20
"""Meanings of one name that are followed."""
USUAL = {"F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy"}
"""What short names mean where no cell says so."""

Paths = dict[str, set[str]]


@dataclass
class Cell:
    """A cell's statements, and what its own text says about its names.

    ``statements`` is None for a text that is too long or too deep to be parsed. ``paths`` are
    dotted names of libraries, by the name that stands for them; attributes that are assigned have
    a dot before their name. ``own`` are names that the cell defines itself.
    """

    lines: list[str]
    statements: list["Statement"] | None
    paths: Paths = field(default_factory=lambda: defaultdict(set))
    own: set[str] = field(default_factory=set)
    values: list[tuple[str, ast.expr]] = field(default_factory=list)
    stars: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, text: str, parse: bool = True) -> "Cell":
        """The cell with this text; one that is not Python cannot run, and has no statements."""
        body = _parse(text) if parse else None
        statements = None if body is None else [Statement.of(node) for node in body]
        cell = cls(text.split("\n"), statements)
        for statement in statements or ():
            for node in ast.walk(statement.node):
                cell._note(node)
        return cell

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                path = one.name if one.asname else one.name.partition(".")[0]
                self.paths[one.asname or path].add(path)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                self.paths[one.asname or one.name].add(f"{node.module}.{one.name}")
                self.stars |= {node.module} if one.name == "*" else set()
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.own.add(node.name)
        elif isinstance(node, ast.ClassDef):
            self.own.add(node.name)
            self.methods |= {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
            self.methods |= {name[1:] for name in stored_attributes(node)}
        elif isinstance(node, ast.arg):
            self.own.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self.own.add(node.id)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target, value in (pair for one in targets for pair in _pairs(one, node.value)):
                if isinstance(target, ast.Name):
                    self.values.append((target.id, value))
                elif isinstance(target, ast.Attribute):
                    self.values.append((f".{target.attr}", value))


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement of top level, the names of top level that it reads, and those that it binds."""

    node: ast.stmt
    read: frozenset[str]
    bound: frozenset[str]

    @classmethod
    def of(cls, node: ast.stmt) -> "Statement":
        """Analyse a statement, which may be anything that can be parsed."""
        try:
            names = Names(node)
            read, bound = names.read, names.bound
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            read = bound = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        used = {f".{one.attr}" for one in ast.walk(node) if isinstance(one, ast.Attribute)}
        return cls(node, frozenset(read | used), frozenset(bound | stored_attributes(node)))


class Notebook:
    """All cells of a submission."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.cells, room = [], MAX_TOTAL
        for text in texts:
            room -= len(text)
            self.cells.append(Cell.read(text, parse=room >= 0))
        self.methods = set().union(*(cell.methods for cell in self.cells))
        self.stars = sorted(set().union(*(cell.stars for cell in self.cells)))[:MAX_PATHS]
        self.definitions: dict[str, list[tuple[Cell, Statement]]] = defaultdict(list)
        for cell in self.cells:
            for statement in cell.statements or ():
                for name in statement.bound:
                    self.definitions[name].append((cell, statement))
        self.shared: Paths = defaultdict(set)
        for _ in range(4):  # an alias of an alias of an alias
            self._share()
            for cell in self.cells:
                for name, value in cell.values:
                    _add(cell.paths, name, self.meanings(cell, value))
        self._share()
        roots = (path for paths in self.shared.values() for path in paths)
        self.libraries = {path.partition(".")[0] for path in roots} | {"torch", "numpy", "math"}

    def _share(self) -> None:
        for cell in self.cells:
            for name, paths in cell.paths.items():
                _add(self.shared, name, paths)

    def meanings(self, cell: Cell, node: ast.AST) -> set[str]:
        """Dotted names of libraries that a name, or a chain of attributes, may stand for."""
        tail = []
        while isinstance(node, ast.Attribute) and len(tail) < MAX_PATHS:
            tail.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return set()
        end = "".join(f".{part}" for part in reversed(tail))
        return {start + end for start in self._roots(cell, node.id)}

    def _roots(self, cell: Cell, name: str) -> set[str]:
        if name in cell.paths or name in cell.own:
            return cell.paths.get(name, set())
        found = self.shared.get(name, set())
        if found or name in self.definitions:
            return found
        return {USUAL.get(name, name), *(f"{module}.{name}" for module in self.stars)}

    def reached(self, numbers: Iterable[int]) -> Iterator[tuple[Cell, Statement]]:
        """The statements of some cells, those that define what they name, and so on."""
        seen: set[Statement | str] = set()
        own = [self.cells[number] for number in numbers]
        queue = [(cell, statement) for cell in own for statement in cell.statements or ()]
        while queue:
            cell, statement = queue.pop()
            if statement in seen:
                continue
            seen.add(statement)
            yield cell, statement
            for name in statement.read - seen:
                seen.add(name)
                queue += self.definitions.get(name, ())


def stored_attributes(node: ast.AST) -> set[str]:
    """Attributes that are assigned somewhere in it, with a dot."""
    return {
        f".{one.attr}"
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and not isinstance(one.ctx, ast.Load)
    }


def _add(paths: Paths, name: str, more: set[str]) -> None:
    for path in sorted(more - paths[name])[: MAX_PATHS - len(paths[name])]:
        paths[name].add(path)


def _parse(text: str) -> list[ast.stmt] | None:
    if len(text) > MAX_SOURCE:
        return None
    magic = sum(line.lstrip()[:1] in tuple("%!?") or line[-1:] == "?" for line in text.split("\n"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return parse_cell(text) if magic <= MAX_MAGIC else ast.parse(text).body
        except (SyntaxError, ValueError):
            return [] if magic <= MAX_MAGIC else None
        except (RecursionError, MemoryError):
            return None


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """``a, b = c, d`` as two assignments."""
    sides = [getattr(side, "elts", None) for side in (target, value)]
    if sides[0] and sides[1] and len(sides[0]) == len(sides[1]):
        yield from zip(*sides, strict=True)
    else:
        yield target, value
