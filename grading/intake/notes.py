"""Sentences about a submission: one for each kind of thing, with the names of the cells."""

from grading.intake.files import shown_name

SENTENCES = {
    "recognised": "Cells had lost their grade_id and were recognised by their content: {}.",
    "missing answer": "Answers are not in the notebook, so their tests ran without them: {}.",
    "missing test": "Test cells were deleted; the instructor's ran all the same: {}.",
    "missing locked": "Locked cells were deleted; the instructor's ran all the same: {}.",
    "missing written": "Written answers are not in the notebook: {}.",
    "copied": "Answers stand in several cells of the same grade_id; all of them ran, in order: {}.",
    "repeated": "Test cells stand there several times; the instructor's ran once: {}.",
    "retyped": "Cells had been turned into another type; they were graded as released: {}.",
    "merged": "Answers were found inside a locked or test cell and taken out of it: {}.",
    "typed": (
        "Locked or test cells were changed; the instructor's ran in their place. Code of your own "
        "belongs in the answer cell or in a new cell: {}."
    ),
    "text": (
        "Locked text was changed; it is shown as released. Write in the answer cell or in a new "
        "cell: {}."
    ),
    "settings": "Points or other settings of cells were changed; the instructor's count: {}.",
    "moved": "Tests stood above their answer; they ran after it: {}.",
}


class Notes:
    """Collects remarks by kind, so that ten deleted cells make one sentence."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Remark something of the cell ``name``; a kind of :data:`SENTENCES`."""
        names = self._names.setdefault(kind, [])
        if name not in names:
            names.append(name)

    def sentences(self) -> list[str]:
        """One for each kind that occurred."""
        return [
            sentence.format(", ".join(shown_name(name) for name in self._names[kind]))
            for kind, sentence in SENTENCES.items()
            if kind in self._names
        ]
