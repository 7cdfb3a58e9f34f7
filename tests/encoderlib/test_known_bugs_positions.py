"""Known bugs of tutorials: positions, and names that hide a function. See `known_bugs`."""

import ast
from pathlib import Path

import torch

import encoderlib
from encoderlib import SinusoidalPositions, sinusoids
from encoderlib.relative import distance_range, toeplitz
from tests.encoderlib.known_bugs import close, known_bug


def integer_table(length, d_model):
    table = torch.arange(length)[:, None].repeat(1, d_model)  # int64: what is written is cut off
    table[:, 0::2] = torch.sin(table[:, 0::2] / d_model**0.5)
    table[:, 1::2] = torch.cos(table[:, 1::2] / d_model**0.5)
    return table


def one_frequency(length, d_model):
    angle = torch.arange(length).float()[:, None].expand(length, d_model) / d_model**0.5
    return torch.where(torch.arange(d_model) % 2 == 0, angle.sin(), angle.cos())


@known_bug("E002-04", sinusoids, integer_table)
def test_positions_are_real_numbers_and_all_different(table):
    rows = table(100, 16)
    assert rows.is_floating_point()
    assert len({tuple(row.tolist()) for row in rows}) == 100


@known_bug("E002-05", sinusoids, one_frequency)
def test_each_pair_of_columns_has_its_own_frequency(table):
    rows = table(200, 16)
    assert torch.linalg.matrix_rank(rows) > 2
    assert (torch.cdist(rows, rows) + 10 * torch.eye(200)).min() > 0.3
    for i in range(8):
        close(rows[:, 2 * i], torch.sin(torch.arange(200) / 10000 ** (2 * i / 16)), 1e-4)


@known_bug(
    "E002-03",
    lambda n: toeplitz(distance_range(n, n), n),
    lambda n: torch.arange(n).diff(),  # differences of neighbours
)
def test_relative_positions_are_a_matrix_of_all_pairs(relative):
    distances = relative(4)
    assert distances.shape == (4, 4)
    assert (distances == -distances.T).all()
    assert distances[0, 3] == 3


@known_bug(
    "E002-21",
    lambda x: SinusoidalPositions(x.size(-1))(x),
    lambda x: x + sinusoids(x.size(-1), x.size(-1)),
    RuntimeError,
)
def test_the_number_of_positions_is_the_length_not_the_width(add):
    x = torch.zeros(2, 6, 8)
    close(add(x), sinusoids(6, 8).expand(2, 6, 8))


def shadowed(sources):
    """Functions that a file defines or imports, and then hides behind a value of that name.

    At the top level, or within a function that calls it.
    """
    found = set()
    for source in sources:
        body = ast.parse(source).body
        functions = {n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        functions |= {
            (alias.asname or alias.name).split(".")[0]
            for node in body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        top = [n for n in body if not isinstance(n, ast.FunctionDef | ast.ClassDef)]
        found |= functions & stored(top)
        for node in ast.walk(ast.Module(body, [])):
            if isinstance(node, ast.FunctionDef):
                called = {n.func.id for n in ast.walk(node) if is_call_of_name(n)}
                found |= functions & called & stored(node.body)
    return found


def stored(nodes):
    """Names that these statements assign to."""
    inner = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)]
    return {n.id for n in inner if isinstance(n.ctx, ast.Store)}


def is_call_of_name(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def files_of_encoderlib():
    paths = sorted(Path(encoderlib.__file__).parent.rglob("*.py"))
    assert len(paths) > 10
    return [path.read_text(encoding="utf-8") for path in paths]


# The next two bugs are of a notebook's cell, which a library cannot have in this form; the
# nearest property is that no file hides one of its functions behind a value of the same name.


@known_bug(
    "E002-06",
    files_of_encoderlib,
    lambda: ["def table(n): return n\ntable = table(3)\nlonger = table(5)"],
)
def test_no_file_hides_a_function_behind_its_result(sources):
    assert shadowed(sources()) == set()


@known_bug(
    "E002-20",
    files_of_encoderlib,
    lambda: [
        "from m import table\ndef add(x):\n    table = table(x.size(1))\n    return x + table"
    ],
)
def test_no_function_hides_a_function_that_it_calls(sources):
    assert shadowed(sources()) == set()
