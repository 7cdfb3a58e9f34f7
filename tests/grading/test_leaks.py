"""The leak check goes red for everything that gives an answer away, and for nothing else."""

import nbformat
import pytest

from grading.drift import find_drift
from grading.leaks import find_leaks

TINY = "01-tiny"


def leaks(course):
    return find_leaks(course, TINY, course.exercises / TINY)


def test_clean_edition_has_no_leak(released):
    assert leaks(released) == []


@pytest.mark.parametrize(
    ("line", "cell"),
    [
        ("    twice_the_number = number + number", "double"),  # a solution line
        ("# running_total_of_numbers  +=  number", "total"),  # in a comment, other spaces
        ("1634526", "test-double"),  # a number of a hidden test
        ("817_263.0", "test-double"),  # another, written in another way
        ("print('semordnilap')", "test-reverse"),  # a text of a hidden test
        ("Each letter returns to the place where it stood before the first reversal.", "why"),
    ],
)
@pytest.mark.parametrize("place", ["checks.py", "source", "outputs", "metadata"])
def test_secret_is_found_wherever_it_stands(released, line, cell, place):
    folder = released.exercises / TINY
    if place == "checks.py":
        with (folder / place).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    else:
        notebook = nbformat.read(folder / "words.ipynb", as_version=4)
        setup = notebook.cells[1]
        if place == "source":
            setup.source += "\n" + line
        elif place == "metadata":
            setup.metadata["note"] = line
        else:
            setup.outputs = [nbformat.v4.new_output("stream", name="stdout", text=line)]
        nbformat.write(notebook, folder / "words.ipynb")
    found = [leak for leak in leaks(released) if f"cell {cell}" in leak]
    assert found
    assert ("checks.py" if place == "checks.py" else "words.ipynb, cell setup") in found[0]


def test_line_that_is_public_in_the_source_is_no_leak(released, edit):
    line = "twice_the_number = number + number"
    with (released.exercises / TINY / "checks.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert leaks(released)
    edit(released.solutions / TINY / "numbers.md", "Return twice", f"`{line}`\n\nReturn twice")
    assert leaks(released) == []


def test_solved_notebook_is_a_leak(released):
    folder = released.exercises / TINY
    text = (folder / "words.ipynb").read_text(encoding="utf-8")
    stub = 'raise NotImplementedError(\\"replace this line by your answer\\")'
    assert stub in text
    solved = text.replace(stub, 'return \\"\\".join(reversed(word))')
    (folder / "words.ipynb").write_text(solved, encoding="utf-8")
    assert any("reversed(word)" in leak for leak in leaks(released))


@pytest.mark.parametrize("name", ["bugs.py", "numbers.md", "gradebook.db"])
def test_file_of_the_instructor_is_a_leak(released, name):
    (released.exercises / TINY / name).write_text("", encoding="utf-8")
    assert leaks(released) == [f"{TINY}/{name} must not be shipped; remove it"]


def test_outputs_are_a_leak(released):
    path = released.exercises / TINY / "words.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="hello")]
    nbformat.write(notebook, path)
    assert leaks(released) == [f"{TINY}/words.ipynb, cell setup has outputs"]


def test_drift_names_file_cell_and_remedy(released, tmp_path):
    fresh, committed = released.exercises / TINY, tmp_path / "exercises" / TINY
    assert find_drift(released, TINY, fresh) == []
    committed.parent.mkdir()
    fresh.rename(tmp_path / "generated")
    generated = tmp_path / "generated"
    fresh.mkdir()
    assert len(find_drift(released, TINY, generated)) == 3
    for path in generated.iterdir():
        (fresh / path.name).write_bytes(path.read_bytes())
    notebook = nbformat.read(fresh / "numbers.ipynb", as_version=4)
    notebook.cells[4].source += "\npass"
    nbformat.write(notebook, fresh / "numbers.ipynb")
    (fresh / "checks.py").unlink()
    (fresh / "strange.ipynb").write_text("{}", encoding="utf-8")
    assert find_drift(released, TINY, generated) == [
        "exercises/01-tiny/checks.py is missing; run `make release`",
        "exercises/01-tiny/numbers.ipynb differs in cell test-double; run `make release`",
        "exercises/01-tiny/strange.ipynb is not generated from solutions/; remove it; "
        "run `make release`",
    ]
