"""When each cell runs: the student's in their own order, the instructor's between them."""

from collections import defaultdict

from grading.engine.bundle import SourceCell, SourceNotebook
from grading.intake.match import Item, is_answer
from grading.intake.notes import Notes

Key = tuple[int, int, int]
"""Sorts cells: place in the submission; 0 for a cell that stands there, 1 for one put after it;
place in the source."""


class Order:
    """Places of the instructor's cells among those of a submission.

    A test runs after the answers that it tests, after everything that stands above it in the
    submission, and after the locked cells that precede it in the source. A locked cell runs where
    it stands, but not below an answer that it precedes in the source, and not above one that it
    follows.
    """

    def __init__(self, items: list[Item], notebook: SourceNotebook, notes: Notes) -> None:
        self.items, self.notebook, self.notes = items, notebook, notes
        self.copies: dict[int, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            if item.index is not None:
                self.copies[item.index].append(place)
        self.groups = _groups(notebook)
        self.places: dict[int, int] = {}
        for index, cell in enumerate(notebook.cells):
            if cell.kind:
                self.places[index] = self._place(index, cell)

    def key(self, index: int) -> Key:
        """Where the source's cell ``index`` runs."""
        return self.places[index], 1, index

    def task(self, index: int) -> str:
        """The grade_id of the answer that a test belongs to, or nothing."""
        cells = self.notebook.cells
        before = [cells[at].grade_id for at in range(index) if is_answer(cells[at])]
        name = cells[index].grade_id
        named = [one for one in before if name in (f"test-{one}", f"test_{one}")]
        group = [cells[at].grade_id for at in self.groups[index]]
        return (named or group[-1:] or [""])[0]

    def _place(self, index: int, cell: SourceCell) -> int:
        own = self.copies[index][0] if self.copies[index] else None
        if is_answer(cell):
            return self._end_of(index) if self.copies[index] else self._previous(index)
        if cell.kind == "test":
            return self._place_of_test(index, own)
        if own is not None and cell.cell_type != "code":
            return own
        return self._place_of_locked(index, own)

    def _place_of_test(self, index: int, own: int | None) -> int:
        after = max((self._end_of(answer) for answer in self.groups[index]), default=-1)
        if own is None:
            place = self._end_of_section(after if after >= 0 else self._previous(index))
            group = [
                at for at in self.groups if at < index and self.groups[at] is self.groups[index]
            ]
            place = max([place, *(self.places[at] for at in group)])
        else:
            place = max(after, own)
            if after > own:
                self.notes.add("moved", self.notebook.cells[index].grade_id)
        locked = [
            self.places[at]
            for at in range(index)
            if self.notebook.cells[at].kind == "locked"
            and self.notebook.cells[at].cell_type == "code"
        ]
        return max([place, *locked])

    def _place_of_locked(self, index: int, own: int | None) -> int:
        answers = [at for at, cell in enumerate(self.notebook.cells) if is_answer(cell)]
        last = [at for at in answers if at < index and self.copies[at]][-1:]
        after = self._end_of(last[0]) if last else -1
        place = max(after, self._previous(index) if own is None else own)
        following = [self.copies[at][0] for at in answers if at > index and self.copies[at]]
        return min([place, *(first - 1 for first in following if first > after)])

    def _end_of(self, answer: int) -> int:
        """The last copy of an answer that comes before the next task; -1 where there is none."""
        copies = self.copies[answer]
        if not copies:
            return -1
        group = self.groups[answer]
        others = [
            place
            for place, item in enumerate(self.items)
            if place > copies[0]
            and item.index is not None
            and is_answer(self.notebook.cells[item.index])
            and self.groups[item.index] is not group
        ]
        return max(place for place in copies if place < min(others, default=len(self.items)))

    def _end_of_section(self, place: int) -> int:
        """The last code cell before the next cell that the instructor knows."""
        end = place
        for at in range(place + 1, len(self.items)):
            if self.items[at].index is not None:
                break
            if self.items[at].cell.cell_type == "code":
                end = at
        return end

    def _previous(self, index: int) -> int:
        """The place of the nearest cell above that has one."""
        return next((self.places[at] for at in range(index - 1, -1, -1) if at in self.places), -1)


def _groups(notebook: SourceNotebook) -> dict[int, list[int]]:
    """From an answer, and from a test, to the answers that belong together.

    Answers that follow each other, and the tests below them up to the next answer, are a group.
    """
    groups, current, tested = {}, [], False
    for index, cell in enumerate(notebook.cells):
        if is_answer(cell):
            if tested:
                current, tested = [], False
            current.append(index)
            groups[index] = current
        elif cell.kind == "test":
            tested = True
            groups[index] = current
    return groups
