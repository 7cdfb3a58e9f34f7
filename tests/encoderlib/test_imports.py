"""Arrows point one way, files stay short, and importing the library imports little."""

import ast
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

import encoderlib

FOLDER = Path(encoderlib.__file__).parent
LINES = 250

# A module may import modules of earlier rows only.
LAYERS = [
    ["masks", "norms", "feedforward", "embeddings", "positions", "heads", "cache"],
    ["runtime", "plots", "testing", "data", "metrics", "vocabulary"],
    ["entities", "tokenization"],
    ["attention", "rotary", "inputs"],
    ["relative", "multihead"],
    ["config", "packing"],
    ["pretrained"],
    ["encoder"],
    ["training"],
    ["decoder", "text", "vision"],
    ["seq2seq", "decoding"],
    ["beam"],
    ["__init__"],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
FILES = sorted(FOLDER.rglob("*.py"))


def component(path: Path) -> str:
    """The module's name in `LAYERS`; the files of a folder share the folder's name."""
    parts = path.relative_to(FOLDER).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(source: str) -> set[str]:
    """The components of encoderlib that a file imports, inside of functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from encoderlib import masks` imports a module, or a name of the package's file.
            names = (
                [f"encoderlib.{alias.name}" for alias in node.names]
                if node.module == "encoderlib"
                else [node.module or ""]
            )
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head == "encoderlib":
                found.add(rest[0] if rest and rest[0] in RANK else "__init__")
    return found


def upward(name: str, source: str) -> set[str]:
    """Imports that do not point to an earlier row."""
    return {other for other in imports_of(source) - {name} if RANK[other] >= RANK[name]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_imports_point_downwards(path):
    name = component(path)
    assert name in RANK, f"give {name} its place in LAYERS"
    assert upward(name, path.read_text(encoding="utf-8")) == set()


def test_every_place_in_the_order_is_taken():
    assert {component(path) for path in FILES} == set(RANK)


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("attention", "from encoderlib.encoder import Encoder", {"encoder"}),
        ("encoder", "import encoderlib.text", {"text"}),
        ("encoder", "def f():\n    from encoderlib import vision", {"vision"}),
        ("masks", "from encoderlib import Encoder", {"__init__"}),
        ("masks", "import encoderlib", {"__init__"}),
        ("text", "from encoderlib.vision import ImageClassifier", {"vision"}),
        ("attention", "import torch\nfrom encoderlib.masks import check_mask", set()),
        ("data", "from encoderlib.data.digits import load_digits", set()),
    ],
)
def test_the_check_sees_an_arrow_upwards(name, source, found):
    assert upward(name, source) == found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_file_is_one_concept_and_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


def test_importing_the_library_imports_neither_plots_nor_data_sets():
    code = "import sys, encoderlib; print(*sorted(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert "encoderlib.training" in loaded
    heavy = {"matplotlib", "sklearn", "scipy", "pandas", "transformers", "beartype", "IPython"}
    heavy |= {"tokenizers", "safetensors", "huggingface_hub", "httpx", "tensorboard", "sacrebleu"}
    assert loaded & heavy == set()


def test_the_test_run_checks_the_shapes_of_the_signatures():
    """If the import hook were not active, shapes and dtypes would go unchecked."""
    with pytest.raises(jaxtyping.TypeCheckError):
        encoderlib.padding_mask(torch.ones(2, 3))
    with pytest.raises(jaxtyping.TypeCheckError):
        encoderlib.scaled_dot_product_attention(
            torch.zeros(2, 3, 5), torch.zeros(2, 7, 5), torch.zeros(2, 6, 5)
        )


def test_without_the_checks_the_same_call_is_not_stopped(unchecked):
    assert encoderlib.padding_mask(torch.ones(2, 3)).shape == (2, 1, 1, 3)
