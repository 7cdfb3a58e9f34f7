"""A fingerprint changes with the configuration and the code behind a result, and with no more."""

import dataclasses
import shutil

import pytest

from experiments import artefact
from experiments.fingerprint import ROOT, definitions, fingerprint

MODULE = "experiments.ag_news"


@pytest.fixture
def copy(tmp_path):
    """A copy of the project's code, and a way to change a file of it."""
    for package in ("encoderlib", "experiments"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )

    def change(file, old, new):
        path = tmp_path / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    change.root = tmp_path
    return change


def of(root, config=None):
    module = artefact.of("ag-news")
    return fingerprint(MODULE, config or module.CONFIG, artefact.SCORES, root)


def test_a_copy_elsewhere_has_the_same_fingerprint(copy):
    assert of(copy.root) == of(ROOT)


def test_configuration_changes_it():
    config = artefact.of("ag-news").CONFIG
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, lr=0.123))
    assert of(ROOT, other) != of(ROOT)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("experiments/ag_news.py", "[:5000]", "[:4000]"),
        ("experiments/texts.py", "shuffle=True, seed", "shuffle=False, seed"),
        ("experiments/texts.py", "tokenizer.mask_id)", "tokenizer.unknown_id)"),
        ("encoderlib/attention.py", "softmax(dim=-1)", "softmax(dim=-2)"),
        ("encoderlib/training/optim.py", "0.5 * (1.0 +", "0.6 * (1.0 +"),
        ("encoderlib/training/run.py", "fused=True", "fused=False"),
        ("encoderlib/vocabulary.py", '"[MASK]")', '"[MASKED]")'),
    ],
    ids=lambda value: value if str(value).endswith(".py") else "",
)
def test_code_behind_the_result_changes_it(copy, file, old, new):
    before = of(copy.root)
    copy(file, old, new)
    assert of(copy.root) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("experiments/texts.py", '"""Train one model; the', '"""Train a model; the'),
        ("encoderlib/attention.py", '"""Scaled dot-product', '"""One more word, dot-product'),
        (
            "encoderlib/training/loop.py",
            "    was_training =",
            "    # a comment\n\n    was_training =",
        ),
        ("encoderlib/vision.py", "self.dropout(self.embed", "self.dropout(2 * self.embed"),
        ("encoderlib/beam.py", "alpha: float = 0.6", "alpha: float = 0.7"),
        ("experiments/ag_news.py", "batch_size=8,", "batch_size=7,"),
    ],
    ids=["docstring", "docstring of a module", "comment", "other class", "other module", "smoke"],
)
def test_what_the_result_does_not_need_leaves_it(copy, file, old, new):
    before = of(copy.root)
    copy(file, old, new)
    assert of(copy.root) == before


def test_names_are_followed_through_packages_and_functions():
    found = definitions("experiments.multi30k")
    for place in (
        "encoderlib.seq2seq:EncoderDecoder",  # by way of encoderlib/__init__.py
        "encoderlib.data.translation:load_multi30k",  # by way of encoderlib/data/__init__.py
        "encoderlib.decoding:decoding_steps",  # used by beam_search
        "encoderlib.attention:choose_method",
        "encoderlib.config:EncoderConfig",
    ):
        assert place in found
    assert not any(place.startswith("encoderlib.vision") for place in found)
    assert not any(place.startswith("encoderlib.data.images") for place in found)


def test_imports_inside_of_functions_and_of_modules_count(tmp_path):
    package = tmp_path / "experiments"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(
        "from experiments import two\n\ndef f():\n    from experiments.three import h\n"
        "    return two.g() + h()\n"
    )
    (package / "two.py").write_text("print(1)\n\ndef g():\n    return 1\n\ndef unused(): ...\n")
    (package / "three.py").write_text("def h():\n    return 2\n")
    found = definitions("experiments.one", ["f"], tmp_path)
    assert set(found) == {
        "experiments.one:f",
        "experiments.two:*0",  # runs when it is imported
        "experiments.two:g",
        "experiments.three:h",
    }


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleNotFoundError, match=r"experiments\.nothing"):
        definitions("experiments.nothing")
