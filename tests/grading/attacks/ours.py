"""Grade a batch with our engine, in a process of its own: one JSON line a submission.

    python -m tests.grading.attacks.ours JOB.json

The job names the source folder, the assignment and the folders of the submissions.
"""

import json
import sys
import time
from pathlib import Path

from grading.engine.bundle import read_bundle
from grading.engine.pool import Engine, Submission
from tests.grading.attacks.classroom import SEED


def files_of(folder: Path) -> dict[str, bytes]:
    """A submission as it travels. Links are not followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def main() -> None:
    """Grade what the job names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    bundle = read_bundle(Path(job["source"]), job["assignment"], {"COURSE_SEED": SEED})
    submissions = (  # read one after the other: one of them has 200 MB
        Submission(student, files_of(Path(folder))) for student, folder in job["submissions"]
    )
    with Engine(workers=job["workers"]) as engine, open(job["results"], "w") as results:
        last = time.monotonic()
        for student, record in engine.grade(bundle, submissions):
            now = time.monotonic()
            line = {"student": student, "record": record.to_json(), "seconds": now - last}
            line["digest"] = record.digest
            results.write(json.dumps(line) + "\n")
            results.flush()
            last = now


if __name__ == "__main__":
    main()
