"""Where the parts of the course are."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NEVER_SHIPPED = {"bugs.py", "grading.toml", "__pycache__", ".ipynb_checkpoints"}


class GradingError(Exception):
    """Something is wrong with the course; the message says what to do about it."""


@dataclass(frozen=True)
class Course:
    """The folders of a course below ``root``, the folder of nbgrader_config.py."""

    root: Path = PROJECT

    @property
    def solutions(self) -> Path:
        """The instructor's edition: text notebooks."""
        return self.root / "solutions"

    @property
    def exercises(self) -> Path:
        """The student edition: generated, and committed."""
        return self.root / "exercises"

    @property
    def build(self) -> Path:
        """Scratch space; nothing in it is committed."""
        return self.root / "build"

    @property
    def records(self) -> Path:
        """Submissions, gradebook, feedback and marks."""
        return self.root / "course"

    @property
    def pages(self) -> Path:
        """Generated pages that the book includes."""
        return self.root / "book" / "_generated"

    def assignments(self) -> list[str]:
        """Names of all assignments: folders of ``solutions/`` with a text notebook."""
        return sorted({path.parent.name for path in self.solutions.glob("*/*.md")})

    def select(self, names: Iterable[str] = ()) -> list[str]:
        """The assignments that are named, or all if none is.

        Raises:
            GradingError: there is no such assignment, or none at all.
        """
        known = self.assignments()
        if not known:
            raise GradingError(
                f"there is no assignment in {self.solutions}; an assignment is a folder with a "
                "text notebook (.md); is --root the folder of nbgrader_config.py?"
            )
        chosen = list(names) or known
        for name in chosen:
            if name not in known:
                raise GradingError(
                    f"there is no assignment {name!r} in {self.solutions}; "
                    f"the assignments are: {', '.join(known)}"
                )
        return chosen

    def problems(self, assignment: str) -> list[Path]:
        """The text notebooks of one assignment."""
        return sorted((self.solutions / assignment).glob("*.md"))

    def shipped_files(self, assignment: str) -> list[Path]:
        """What students get beside the notebooks, such as checks.py."""
        folder = self.solutions / assignment
        return sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".md" and is_shipped(path.relative_to(folder))
        )


def is_shipped(path: Path) -> bool:
    """Neither the wrong answers nor the limits of grading nor caches nor hidden files."""
    return not any(part in NEVER_SHIPPED or part.startswith(".") for part in path.parts)
