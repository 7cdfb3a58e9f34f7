"""The assignments through the sealed grader: what right and wrong answers get.

The kill gate runs tests and answers in one process. This runs all of them again as the class is
graded: in two processes, in the sandbox.
"""

import pytest

from grading.answers import reference_answers, type_answers
from grading.bugs import Bug, load_bugs, load_rights
from grading.course import Course
from grading.engine.bundle import read_bundle
from grading.engine.pool import Engine, Submission
from grading.engine.record import FORBIDDEN, MANUAL, PASSED
from grading.kill import load_config
from grading.release import generate
from grading.stock import Stock, scratch

COURSE = Course()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("assignment", COURSE.assignments())
def test_every_answer_gets_what_it_deserves(assignment, tmp_path):
    load_config(COURSE)
    stock = Stock(COURSE, scratch(tmp_path / "scratch"))
    edition = generate(stock, COURSE, assignment)
    bundle = read_bundle(tmp_path / "scratch" / "source" / assignment, assignment)
    right = reference_answers(COURSE, assignment)
    answers = [*load_rights(COURSE, assignment), *load_bugs(COURSE, assignment)]
    others = {f"{one.task}: {one.name}": one for one in answers}
    assert len(others) == len(answers)

    def submissions():
        changes = {name: {one.task: one.source} for name, one in others.items()}
        for name, changed in [("", {}), *changes.items()]:
            folder = tmp_path / "typed"
            type_answers(edition, folder, right | changed)
            files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
            yield Submission(name, files)

    problems, seen = [], set()
    with Engine(workers=2) as engine:
        for name, record in engine.grade(bundle, submissions()):
            seen.add(name)
            lost = {
                key.rpartition("/test-")[2]: one
                for key, one in record.results.items()
                if one.outcome not in (PASSED, MANUAL)
            }
            bug = others.get(name)
            if not isinstance(bug, Bug):
                problems += [
                    f"{name or 'the model answer'} loses {task}: {one}"
                    for task, one in lost.items()
                ]
                continue
            if set(lost) != {bug.task} or lost[bug.task].score != 0:
                problems.append(f"{name}: loses {sorted(lost)}")
            elif lost[bug.task].outcome != FORBIDDEN and (bug.says or "") not in str(
                lost[bug.task].message
            ):
                problems.append(f"{name}: is told {lost[bug.task].message!r}, not {bug.says!r}")
    assert not problems, "\n".join(problems)
    assert seen == {"", *others}
