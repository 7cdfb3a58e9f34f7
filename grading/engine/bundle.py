"""What an examiner needs of an assignment: the instructor's cells, files and policy, as bytes."""

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grading.course import GradingError
from grading.engine.policy import POLICY_FILE, Policy, read_policy
from grading.source import HIDDEN, SOLUTION, grade_id, kind, points, public_part

if TYPE_CHECKING:
    from nbformat import NotebookNode

IGNORED = {".ipynb_checkpoints", "__pycache__", "bugs.py", POLICY_FILE}


@dataclass(frozen=True)
class SourceCell:
    """A cell of the instructor's edition.

    ``kind`` is answer, test, written (a person marks it), locked, task, or nothing for a plain
    cell. ``source`` is the whole cell: model answer and hidden tests included. ``public`` is what
    students may see of it.
    """

    grade_id: str
    kind: str
    cell_type: str
    points: float
    source: str
    public: str

    @property
    def graded(self) -> bool:
        """Is the cell worth points?"""
        return self.kind in ("test", "written", "task")

    @property
    def has_hidden_tests(self) -> bool:
        """Is there more than students see?"""
        return HIDDEN[0].removeprefix("### ") in self.source


@dataclass(frozen=True)
class SourceNotebook:
    """The instructor's edition of one notebook."""

    name: str
    cells: tuple[SourceCell, ...]

    @property
    def by_id(self) -> dict[str, SourceCell]:
        """The cells that have a grade_id."""
        return {cell.grade_id: cell for cell in self.cells if cell.grade_id}


@dataclass(frozen=True)
class Bundle:
    """An assignment as it travels to an examiner, who may be on another machine.

    Args:
        assignment: its name.
        notebooks: by name, without ``.ipynb``.
        files: what lies beside the notebooks, such as checks.py: relative path to content.
        policy: limits and forbidden names.
        environment: variables that the instructor's tests read, such as COURSE_SEED. The student's
            process never sees them.
    """

    assignment: str
    notebooks: Mapping[str, SourceNotebook]
    files: Mapping[str, bytes]
    policy: Policy = field(default_factory=Policy)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A name for exactly this content (SHA-256)."""
        parts = {
            "assignment": self.assignment,
            "notebooks": {
                name: [list(vars(cell).values()) for cell in notebook.cells]
                for name, notebook in sorted(self.notebooks.items())
            },
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()},
            "policy": self.policy.as_dict(),
            "environment": dict(self.environment),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def libraries_of(bundle: Bundle) -> tuple[str, ...]:
    """Modules of libraries that the instructor's cells and files import, such as ``torch.nn``."""
    texts = [
        cell.public
        for notebook in bundle.notebooks.values()
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    texts += [
        data.decode("utf-8", "replace") for name, data in bundle.files.items() if _is_module(name)
    ]
    own = {Path(name).parts[0].removesuffix(".py") for name in bundle.files}
    found = set()
    for text in texts:
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            tree = ast.parse("\n".join(lines))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return tuple(sorted(name for name in found if name.split(".")[0] not in own))


def _is_module(name: str) -> bool:
    return Path(name).suffix == ".py"


def read_bundle(
    folder: Path,
    assignment: str,
    environment: Mapping[str, str] | None = None,
    locked_sources: Mapping[tuple[str, str], str] | None = None,
) -> Bundle:
    """Read the instructor's edition of an assignment.

    Args:
        folder: nbgrader's ``source/ASSIGNMENT``.
        assignment: its name.
        environment: see :class:`Bundle`.
        locked_sources: from (notebook, grade_id) to a source that replaces the file's, for cells
            that nbgrader itself generates, such as its autotests.

    Raises:
        GradingError: there is no notebook, or one cannot be read.
    """
    import nbformat  # here, because it takes long and an examiner gets its bundle as it is

    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise GradingError(f"there is no notebook in {folder}; did you generate the assignment?")
    notebooks = {}
    for path in paths:
        try:
            notebook = nbformat.read(path, as_version=4)
        except Exception as error:
            raise GradingError(f"{path} cannot be read: {error}") from error
        notebooks[path.stem] = _source_notebook(path.stem, notebook, locked_sources or {})
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in paths and not IGNORED & set(path.parts)
    }
    policy_file = folder / POLICY_FILE
    policy = read_policy(policy_file) if policy_file.is_file() else Policy()
    return Bundle(assignment, notebooks, files, policy, dict(environment or {}))


def _source_notebook(
    name: str, notebook: "NotebookNode", replaced: Mapping[tuple[str, str], str]
) -> SourceNotebook:
    cells, seen = [], set()
    for cell in notebook.cells:
        identity = grade_id(cell)
        if identity and identity in seen:
            raise GradingError(f"{name}: two cells have the grade_id {identity!r}")
        seen.add(identity)
        if (name, identity) in replaced:
            cell.source = replaced[name, identity]
        public = public_part(cell)
        answer = kind(cell) in ("answer", "written")
        if answer and SOLUTION[0].removeprefix("### ") not in cell.source:
            public = ""  # nbgrader replaces such an answer as a whole
        task = "task" if cell.metadata.get("nbgrader", {}).get("task") else ""
        cells.append(
            SourceCell(
                identity,
                task or kind(cell),
                cell.cell_type,
                points(cell),
                cell.source,
                public,
            )
        )
    return SourceNotebook(name, tuple(cells))
