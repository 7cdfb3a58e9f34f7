"""Each check of the built site goes red on a page that is wrong in its way."""

import shutil

import pytest

from tools import check_site


def problems(tmp_path, check, body, other="<article id='there'>x</article>"):
    (tmp_path / "index.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    (tmp_path / "other.html").write_text(f"<html><body>{other}</body></html>", encoding="utf-8")
    return check(tmp_path, check_site.pages(tmp_path))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<a href='other.html#there'>ok</a> <a href='https://example.org'>ok</a>", None),
        ("<a href='missing.html'>x</a>", "no such file"),
        ("<a href='other.html#nowhere'>x</a>", "no such place"),
        ("<a href='#nowhere'>x</a>", "no such place"),
        ("<img src='missing.png'>", "no such file"),
    ],
)
def test_links(tmp_path, body, complaint):
    found = problems(tmp_path, check_site.check_links, body)
    assert bool(found) == bool(complaint)
    assert not complaint or complaint in found[0]
    assert not complaint or found[0].startswith("index.html")


@pytest.mark.parametrize(
    ("body", "red"),
    [
        ("<script src='_static/a.js'></script>", False),
        ("<a href='https://example.org'>a link may leave</a>", False),
        ("<script src='https://example.org/a.js'></script>", True),
        ("<link rel='stylesheet' href='//example.org/a.css'>", True),
        ("<script type='module'>import m from \"https://example.org/m.mjs\"</script>", True),
    ],
)
def test_network(tmp_path, body, red):
    assert bool(problems(tmp_path, check_site.check_network, body)) == red


@pytest.mark.parametrize(
    ("body", "red"),
    [
        ("<article><img src='a.png' alt='a heat map'></article>", False),
        ("<article><img src='a.png'></article>", True),
        ("<article><div class='encoderlib-figure'><svg></svg></div></article>", True),
        (
            "<article><div class='encoderlib-figure'><svg aria-label='x'></svg></div></article>",
            False,
        ),
        ("<article><div class='cell_output'><div class='stderr'>w</div></div></article>", True),
    ],
)
def test_figures(tmp_path, body, red):
    assert bool(problems(tmp_path, check_site.check_figures, body)) == red


@pytest.mark.skipif(
    shutil.which("node") is None or not check_site.MATHJAX.is_dir(),
    reason="needs node and the vendored MathJax (python -m tools.vendor)",
)
@pytest.mark.parametrize(
    ("tex", "red"),
    [
        (r"\(\sqrt{d_k}\)", False),
        (r"\[\begin{aligned} a &= b \\ c &= d \end{aligned}\]", False),
        (r"\(\undefinedcommand x\)", True),
        (r"\(\frac{1}{2\)", True),
    ],
)
def test_mathematics(tmp_path, tex, red):
    found = problems(tmp_path, check_site.check_math, f"<span class='math'>{tex}</span>")
    assert bool(found) == red
    assert not red or "index.html" in found[0]


def test_empty_site_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="make book"):
        check_site.pages(tmp_path)
