"""Write the mutants of a Python file: the same file with one small mistake in it.

The mistakes are those of mutmut (a swapped operator, a dropped argument, a value replaced by
None, ...) and five of our own that it lacks: a statement, a raise or a decorator dropped, a
condition negated, an integer one smaller. What no test should pin down is left alone: docstrings,
annotations, ``__all__`` and the texts of errors.
"""

import ast
import collections
import dataclasses
import hashlib
from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

__all__ = ["Mutant", "mutate"]


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mistake: where it is, the statement as it was and as it is now, the whole new file.

    ``was`` and ``now`` are without comments and line breaks, so that they stay the same when
    the file is formatted or the line moves. ``nth`` counts equal statements of one function.
    """

    module: str
    where: str
    line: int
    was: str
    now: str
    nth: int
    source: str = dataclasses.field(repr=False)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What identifies the mutant, also after other lines have changed."""
        return (self.module, self.where, self.was, self.now, self.nth)

    @property
    def id(self) -> str:
        """Eight letters for the command line."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()[:8]


def drop_statement(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """``f(x)`` to ``pass``."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def drop_raise(node: cst.Raise) -> Iterator[cst.CSTNode]:
    """``raise error`` to ``pass``."""
    yield cst.Pass()


def drop_decorator(node: cst.FunctionDef | cst.ClassDef) -> Iterator[cst.CSTNode]:
    """Leave out one decorator."""
    for i in range(len(node.decorators)):
        yield node.with_changes(decorators=[*node.decorators[:i], *node.decorators[i + 1 :]])


def negate_condition(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    """``if x`` to ``if not (x)``, unless mutmut itself turns the condition round."""
    turned = cst.Is | cst.IsNot | cst.In | cst.NotIn | cst.Equal | cst.NotEqual
    test = node.test
    if isinstance(test, cst.Comparison) and isinstance(test.comparisons[0].operator, turned):
        return
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return
    test = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def smaller_integer(node: cst.Integer) -> Iterator[cst.CSTNode]:
    """3 to 2; mutmut itself makes it 4."""
    value = node.evaluated_value - 1
    parentheses = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
    if value < 0:
        yield cst.UnaryOperation(cst.Minus(), cst.Integer(str(-value)), **parentheses)
    else:
        yield cst.Integer(str(value))


OPERATORS = [
    *mutation_operators,
    (cst.Expr, drop_statement),
    (cst.Raise, drop_raise),
    (cst.FunctionDef, drop_decorator),
    (cst.ClassDef, drop_decorator),
    (cst.If, negate_condition),
    (cst.While, negate_condition),
    (cst.Integer, smaller_integer),
]


class _Finder(cst.CSTVisitor):
    """Collect (node, new node, function, line) and count what is left alone, by reason."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self):
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str, int]] = []
        self.skipped = collections.Counter()
        self._names: list[str] = []
        self._reasons: list[tuple[cst.CSTNode, str]] = []  # the node that began, and why
        self._messages: set[cst.CSTNode] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)
        if isinstance(node, cst.Raise) and node.exc is not None:
            self._messages.add(node.exc)
        if reason := self._reason(node):
            self._reasons.append((node, reason))
        for kind, operator in OPERATORS:
            for new in operator(node) if isinstance(node, kind) else ():
                if self._reasons:
                    self.skipped[self._reasons[-1][1]] += 1
                else:
                    position = self.get_metadata(PositionProvider, node, None)
                    line = position.start.line if position else 0
                    self.found.append((node, new, ".".join(self._names) or "module", line))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()
        if self._reasons and self._reasons[-1][0] is original_node:
            self._reasons.pop()

    def _reason(self, node: cst.CSTNode) -> str | None:
        if isinstance(node, cst.Annotation):
            return "annotation"
        if m.matches(node, m.Expr(value=m.SimpleString() | m.ConcatenatedString())):
            return "docstring"
        if m.matches(node, m.Assign(targets=[m.AssignTarget(target=m.Name("__all__"))])):
            return "__all__"
        return "text of an error" if node in self._messages else None


def _difference(old: list[str], new: list[str]) -> tuple[str, str]:
    """The lines that differ, without the common beginning and end."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    cut = [lines[start : len(lines) - end] for lines in (old, new)]
    return tuple("\n".join(line.strip() for line in lines) for lines in cut)


def mutate(source: str, module: str) -> tuple[list[Mutant], collections.Counter]:
    """All mutants of a file, in the order of its lines, and how many were left out and why.

    Two mistakes that give the same program are one mutant; one that does not compile is none.
    """
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder()
    wrapper.visit(finder)
    original = ast.unparse(ast.parse(source))
    mutants, seen, count = [], {original}, collections.Counter()
    for node, new, where, line in finder.found:
        text = wrapper.module.deep_replace(node, new).code
        try:
            compile(text, module, "exec", dont_inherit=True)
            plain = ast.unparse(ast.parse(text))
        except SyntaxError:
            finder.skipped["not valid Python"] += 1
            continue
        if plain in seen:
            continue
        seen.add(plain)
        was, now = _difference(original.splitlines(), plain.splitlines())
        count[where, was, now] += 1
        mutants.append(Mutant(module, where, line, was, now, count[where, was, now], text))
    return sorted(mutants, key=lambda mutant: mutant.line), finder.skipped
