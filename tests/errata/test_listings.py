"""Errata of listings that belong to no chapter: each claim fails here, and the right form holds."""

import ast
import subprocess
import sys

import pytest
import torch
from packaging.requirements import Requirement
from torch import nn
from transformers import BertModel

from encoderlib import Encoder, EncoderConfig, MultiHeadAttention
from tools.notebooks import ROOT


def test_weights_without_the_sizes_are_another_model(tmp_path):
    """E000-26: a model comes back from its weights and the choices that made it."""
    config = EncoderConfig(d_model=24, n_heads=3, d_ff=40, dropout=0.0)
    model, x = Encoder(config).eval(), torch.randn(2, 7, 24)
    # The weights alone fit another number of heads, and nothing complains.
    guess = Encoder(EncoderConfig(d_model=24, n_heads=2, d_ff=40, dropout=0.0)).eval()
    guess.load_state_dict(model.state_dict())
    assert (guess(x) - model(x)).abs().max() > 0.01
    # With the configuration beside them the same model comes back.
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(Encoder.from_pretrained(tmp_path)(x), model(x))


def test_escaped_quotes_are_not_python():
    """E001-16: a quote with a backslash before it, outside of a string, is a SyntaxError."""
    with pytest.raises(SyntaxError, match="line continuation"):
        ast.parse('def make(name=\\"tiny\\"): return name')
    ast.parse('def make(name="tiny"): return name')


def test_a_layer_that_reads_no_neighbour_prints_the_same_shape(tmp_path):
    """E001-20: the printed shape does not tell an encoder from a table of words."""
    encoder = Encoder(EncoderConfig(d_model=12, n_heads=2, d_ff=24, dropout=0.0)).eval()
    alone = nn.Linear(12, 12)  # each token by itself
    x = torch.randn(1, 5, 12)
    assert alone(x).shape == encoder(x).shape == (1, 5, 12)  # the article's only check
    changed = x.clone()
    changed[:, 4] = torch.randn(12)
    moved = {
        name: (model(changed) - model(x))[:, :4].abs().max().item()
        for name, model in (("alone", alone), ("encoder", encoder))
    }
    assert moved["alone"] == 0.0
    assert moved["encoder"] > 0.001
    # The listing also needs a network before its first line of output.
    with pytest.raises(OSError, match="cached files"):
        BertModel.from_pretrained("bert-base-uncased", cache_dir=tmp_path, local_files_only=True)


def test_a_name_without_a_version_takes_any_version():
    """E001-22: an unpinned line installs something else each year; ours are pinned."""
    for release in ("0.4.1", "1.13.1", "2.13.0"):
        assert Requirement("torch").specifier.contains(release)
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = [line.split("==") for line in pinned if line and not line.startswith("#")]
    assert len(versions) > 20
    assert all(len(pair) == 2 and pair[1] for pair in versions)
    assert {"torch", "transformers"} <= {name for name, _ in versions}


def test_two_functions_of_one_name_leave_it_to_the_order():
    """E002-23: which function a call reaches depends on the cell that ran last."""
    block = "def transformer(x): return 'two parts'\n"
    model = "def transformer(x): return 'embedding, two parts, output layer'\n"

    def result(*cells):
        names = {}
        for cell in cells:
            exec(cell, names)
        return names["y"]

    call = "y = transformer(0)\n"
    assert result(block, model, call) != result(model, block, call)
    block, model = block.replace("transformer", "f"), model.replace("transformer", "g")
    assert result(block, model, "y = f(0)") == result(model, block, "y = f(0)") == "two parts"


def test_attention_that_keeps_its_weights_to_itself_cannot_be_looked_at():
    """E003-09: weights can be asked for, and dropout acts in training alone."""

    class Closed(nn.Module):
        """As in the article, in small: no dropout, and only the output comes back."""

        def __init__(self, d_model):
            super().__init__()
            self.project = nn.Linear(d_model, 3 * d_model)

        def forward(self, x):
            query, key, value = self.project(x).chunk(3, dim=-1)
            return (query @ key.transpose(1, 2) / x.size(-1) ** 0.5).softmax(-1) @ value

    x = torch.randn(2, 5, 12)
    closed = Closed(12)
    torch.testing.assert_close(closed.train()(x), closed.eval()(x))  # nothing regularises it
    assert isinstance(closed(x), torch.Tensor)  # and there is no second result: no weights

    ours = MultiHeadAttention(12, 3, dropout=0.5)
    weights = ours.weights(x)
    assert weights.shape == (2, 3, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    values = ours.project(x)[2]
    by_hand = ours.out_proj((weights @ values).transpose(1, 2).flatten(-2))
    torch.testing.assert_close(ours.eval()(x), by_hand)
    assert not torch.equal(ours.train()(x), ours(x))


@pytest.mark.parametrize("used", [False, True])
def test_an_unused_import_is_reported(used):
    """E003-11: the linter of this project names the import that nothing uses."""
    source = "import torch.nn.functional as F\n\n\ndef half(x):\n    return "
    source += "F.relu(x) / 2\n" if used else "x / 2\n"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F401", "-"]
    report = subprocess.run(command, input=source, capture_output=True, text=True)
    assert (report.returncode == 0) == used
    assert used or "F401" in report.stdout


def test_transformers_has_no_adamw_any_more():
    """E004-24: the import fails; torch's optimiser takes its place."""
    with pytest.raises(ImportError, match="AdamW"):
        exec("from transformers import AdamW")
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).all()
