"""The assignments through the sealed grader: what right and wrong answers get.

The kill gate runs tests and answers in one process. This runs all of them again as the class is
graded: in two processes, in the sandbox.
"""

import itertools

import pytest

from grading.answers import reference_answers, type_answers
from grading.bugs import Bug, Right, load_bugs, load_rights
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
    # A submission holds an answer of every task: that is enough, since one that disturbed another
    # task would change what that task is told. Right ones stand apart: some use a task before.
    rounds = [()]
    for answers in (load_rights(COURSE, assignment), load_bugs(COURSE, assignment)):
        of: dict[str, list[Bug | Right]] = {}
        for one in answers:
            of.setdefault(one.task, []).append(one)
        rounds += itertools.zip_longest(*of.values())
    typed = {str(n): {one.task: one for one in some if one} for n, some in enumerate(rounds)}

    def submissions():
        for name, some in typed.items():
            folder = tmp_path / "typed"
            type_answers(edition, folder, right | {task: one.source for task, one in some.items()})
            files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
            yield Submission(name, files)

    problems, seen = [], set()
    with Engine(workers=2) as engine:
        for name, record in engine.grade(bundle, submissions()):
            seen.add(name)
            some = typed[name]
            verdicts = {
                key.rpartition("/")[2].removeprefix("test-"): result
                for key, result in record.results.items()
            }
            problems += [f"{task}: no verdict" for task in some.keys() - verdicts.keys()]
            for task, result in verdicts.items():
                one = some.get(task)
                label = f"{task}, {one.name if one else 'the model answer'}"
                lost = result.outcome not in (PASSED, MANUAL)
                if not isinstance(one, Bug):
                    problems += [f"{label}: loses: {result}"] if lost else []
                elif not lost or result.score != 0:
                    problems.append(f"{label}: gets {result.score}")
                elif result.outcome != FORBIDDEN and (one.says or "") not in str(result.message):
                    problems.append(f"{label}: is told {result.message!r}, not {one.says!r}")
    assert not problems, "\n".join(problems)
    assert seen == set(typed)
