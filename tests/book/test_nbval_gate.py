"""The comparison of recorded outputs goes red when it should."""

import nbformat
import pytest

from tools.nbval import compare
from tools.record import IGNORE


def write(path, source, text, tags=()):
    cell = nbformat.v4.new_code_cell(source, execution_count=1)
    cell.metadata.tags = list(tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, path)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "recorded", "tags", "green"),
    [
        ("print(41)", "41\n", (), True),
        ("print(41)", "42\n", (), False),
        ("print(41)", "42\n", (IGNORE,), True),
        ("1 / 0", "", (IGNORE,), False),
        ("print('took 1.25 s')", "took 0.75 s\n", (), True),
    ],
    ids=["same", "41 to 42", "ignored", "error", "seconds are sanitised"],
)
def test_comparison(tmp_path, capfd, source, recorded, tags, green):
    status = compare([write(tmp_path / "small.ipynb", source, recorded, tags)], processes=1)
    assert (status == 0) == green
    printed = capfd.readouterr().out
    assert green or "make record" in printed
