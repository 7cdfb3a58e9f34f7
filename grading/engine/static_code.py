"""Code objects of the student's functions, compiled from the submission's text and never run.

Checks that read the names in ``function.__code__`` work on them as they do on a function.
"""

import linecache
import types
import warnings
from collections.abc import Iterator, Sequence

from IPython.core.inputtransformer2 import TransformerManager

from grading.engine.shell import cell_file


class StaticCode:
    """The functions that the student's cells define.

    Args:
        cells: name and text of each, in order.
    """

    def __init__(self, cells: Sequence[tuple[str, str]]) -> None:
        self._cells = list(cells)
        self._found: dict[str, types.CodeType] | None = None
        self.files = frozenset(cell_file(name) for name, _ in self._cells)

    def find(self, name: str) -> types.CodeType | None:
        """The code of the last function of this qualified name, such as ``Model.forward``."""
        if self._found is None:
            self._found = {}
            for cell, text in self._cells:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        text = TransformerManager().transform_cell(text)
                        code = compile(text, cell_file(cell), "exec", dont_inherit=True)
                except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
                    continue
                linecache.cache[cell_file(cell)] = (
                    len(text),
                    None,
                    text.splitlines(keepends=True),
                    cell_file(cell),
                )
                self._found.update(_functions(code))
        return self._found.get(name)


def _functions(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant.co_qualname, constant
            yield from _functions(constant)
