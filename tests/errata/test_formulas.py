"""Errata of formulas: how they are written, and what they leave open."""

import json
import shutil
import subprocess

import pytest
import torch
from bs4 import BeautifulSoup
from matplotlib.mathtext import MathTextParser

from encoderlib import MultiHeadAttention
from tools import check_site

MATHJAX = pytest.mark.skipif(
    shutil.which("node") is None or not check_site.MATHJAX.is_dir(),
    reason="needs node and the vendored MathJax (python -m tools.vendor)",
)


def test_a_width_that_is_not_defined_can_be_any():
    """E001-09: with D' left open each D' is a layer; the example and the library say D' = D."""
    d_model, n_heads, x = 100, 4, torch.randn(5, 100)

    def layer(inner):
        """Shape of the output and number of weights of heads that share the width D'."""
        width = inner // n_heads
        heads = [[torch.randn(d_model, width) for _ in "QKV"] for _ in range(n_heads)]
        outputs = []
        for query, key, value in heads:
            scores = (x @ query) @ (x @ key).T / width**0.5
            outputs.append(scores.softmax(-1) @ (x @ value))
        out = torch.cat(outputs, dim=-1) @ torch.randn(inner, d_model)
        return out.shape, (3 * n_heads * d_model * width) + inner * d_model

    sizes = {inner: layer(inner) for inner in (20, 60, 100, 400)}
    assert {shape for shape, _ in sizes.values()} == {(5, 100)}  # all of them fit
    assert len({weights for _, weights in sizes.values()}) == 4  # and all are different
    assert n_heads * 25 == d_model  # the example's 25 columns a head are D / H
    ours = MultiHeadAttention(d_model, n_heads, bias=False)
    assert ours.d_head == 25
    assert sum(p.numel() for p in ours.parameters()) == sizes[100][1]


@MATHJAX
def test_a_doubled_backslash_prints_the_letters_of_the_command():
    r"""E001-10: ``\\text`` is a new line and four letters, without an error."""

    def typeset(tex):
        script = """
        require(process.argv[1] + '/node-main.js').init({
          loader: {paths: {mathjax: process.argv[1]}, load: ['input/tex-full', 'adaptors/liteDOM']},
          tex: {packages: {'[-]': ['bussproofs']}},
        }).then((M) => console.log(JSON.stringify(M.tex2mml(process.argv[2]))));
        """
        command = ["node", "-e", script, str(check_site.MATHJAX), tex]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return BeautifulSoup(json.loads(result.stdout.strip().splitlines()[-1]), "html.parser")

    doubled, single = typeset(r"\\frac{a}{b}"), typeset(r"\frac{a}{b}")
    assert doubled.find("merror") is None  # which is why nobody noticed
    assert [tag.text for tag in doubled.find_all("mi")] == ["f", "r", "a", "c", "a", "b"]
    assert doubled.find("mfrac") is None
    assert single.find("mfrac").get_text(" ", strip=True) == "a b"


def test_two_subscripts_do_not_typeset():
    """E004-21: an index of an index needs braces."""
    parser = MathTextParser("path")
    with pytest.raises(ValueError, match="Double subscript"):
        parser.parse(r"$H_2_i$")
    parser.parse(r"$H_{2,i}$")


@MATHJAX
def test_the_gate_of_the_site_refuses_two_subscripts(tmp_path):
    """E004-21 again, with the MathJax of the site."""
    for tex, red in ((r"\(H_2_i\)", True), (r"\(H_{2,i}\)", False)):
        page = tmp_path / "index.html"
        page.write_text(f"<span class='math'>{tex}</span>", encoding="utf-8")
        found = check_site.check_math(tmp_path, check_site.pages(tmp_path))
        assert bool(found) == red
