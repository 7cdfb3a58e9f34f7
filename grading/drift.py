"""Is the committed student edition what ``solutions/`` generates?"""

import json
from pathlib import Path

from grading.course import Course
from grading.release import exercise_files


def find_drift(course: Course, assignment: str, generated: Path) -> list[str]:
    """Every file and cell of ``exercises/ASSIGNMENT`` that differs from ``generated``."""
    committed = course.exercises / assignment
    fresh, old = (set(exercise_files(folder)) for folder in (generated, committed))
    found = []
    for path in sorted(fresh | old):
        name = f"exercises/{assignment}/{path.as_posix()}"
        if path not in old:
            found.append(f"{name} is missing")
        elif path not in fresh:
            found.append(f"{name} is not generated from solutions/; remove it")
        elif (generated / path).read_bytes() != (committed / path).read_bytes():
            found.append(f"{name} differs{_cells(generated / path, committed / path)}")
    return [f"{problem}; run `make release`" for problem in found]


def _cells(generated: Path, committed: Path) -> str:
    if generated.suffix != ".ipynb":
        return ""
    try:
        fresh, old = (
            {cell["id"]: cell for cell in json.loads(path.read_text("utf-8"))["cells"]}
            for path in (generated, committed)
        )
    except (ValueError, KeyError):
        return ": it is not a notebook with cell ids"
    changed = [name for name in dict.fromkeys([*fresh, *old]) if fresh.get(name) != old.get(name)]
    return f" in cell {', '.join(changed)}" if changed else " outside its cells or in their order"
