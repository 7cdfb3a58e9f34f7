"""encoderlib.plots: a description for everyone, colours that follow the page, ids that differ."""

import re
import xml.etree.ElementTree as ET

import pytest

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("IPython")
matplotlib.use("agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from encoderlib import plots  # noqa: E402


@pytest.fixture
def shown(monkeypatch):
    """Bundles that `show` hands to the notebook."""
    bundles = []

    def display(bundle, raw):
        assert raw
        bundles.append(bundle)

    monkeypatch.setattr("IPython.display.display", display)
    yield bundles
    plt.close("all")


def line(values=(1, 3, 2), title="Loss"):
    figure, axes = plots.figure()
    axes.plot(values, label="train")
    axes.fill_between(range(len(values)), values, alpha=0.3)
    axes.set(title=title, xlabel="epoch", ylabel="loss")
    axes.legend()
    return figure


def svg_of(bundle):
    """The SVG element of a bundle's page text; it has to be well formed."""
    page = ET.fromstring(bundle["text/html"])
    assert page.tag == "div"
    (svg,) = page
    assert svg.tag.endswith("svg")
    return svg


def ids(svg):
    return [element.get("id") for element in svg.iter() if element.get("id")]


def test_a_figure_is_shown_as_svg_png_and_text(shown):
    plots.show(line(), alt="The loss falls.")
    (bundle,) = shown
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["image/png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert bundle["text/plain"] == "Figure: The loss falls."
    assert 'class="encoderlib-figure"' in bundle["text/html"]


def test_a_description_is_required(shown):
    figure = line()
    with pytest.raises(TypeError, match="alt"):
        plots.show(figure)
    for alt in ("", "  \n"):
        with pytest.raises(ValueError, match="say in alt"):
            plots.show(figure, alt)
    assert shown == []


def test_the_svg_says_what_it_shows(shown):
    alt = 'Rows "a" & <b>: it\'s 5 > 3'
    plots.show(line(), alt)
    svg = svg_of(shown[0])
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == alt


def test_ids_are_unique_over_the_figures_of_a_page_and_references_are_kept(shown):
    plots.show(line(), "one")
    plots.show(line(), "two")
    plots.show(line((5, 1, 5)), "two")
    trees = [svg_of(bundle) for bundle in shown]
    every = [i for svg in trees for i in ids(svg)]
    assert len(every) > 30
    assert len(set(every)) == len(every)
    for bundle, svg in zip(shown, trees, strict=True):
        used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', bundle["text/html"])
        used = {a or b for a, b in used}
        assert used
        assert used <= set(ids(svg))


def test_the_same_figure_gives_the_same_page(shown):
    plots.show(line(), "one")
    plots.show(line(), "one")
    assert shown[0]["text/html"] == shown[1]["text/html"]
    assert "dc:date" not in shown[0]["text/html"]


def test_text_takes_the_pages_colour_and_the_ground_is_clear(shown):
    plots.show(line(), "one")
    text = shown[0]["text/html"]
    assert text.count("currentColor") > 10
    assert plots._INK not in text
    svg = svg_of(shown[0])
    grounds = [e for e in svg.iter() if e.get("id", "").endswith(("-patch_1", "-patch_2"))]
    assert len(grounds) == 2
    for ground in grounds:
        for path in ground.iter():
            assert "#ffffff" not in (path.get("style") or "")


def test_the_svg_scales_down_and_keeps_its_shape(shown):
    figure, _ = plots.figure(6.0, 3.0)
    plots.show(figure, "one")
    svg = svg_of(shown[0])
    assert svg.get("width") is None
    assert svg.get("height") is None
    assert svg.get("style") == "width:576px;max-width:100%;height:auto"  # 6 inches of 96 pixels
    assert [float(x) for x in svg.get("viewBox").split()] == [0, 0, 432, 216]


def test_the_png_has_a_white_ground_for_readers_without_svg(shown):
    import io

    plots.show(line(), "one")
    pixels = plt.imread(io.BytesIO(shown[0]["image/png"]))
    np.testing.assert_allclose(pixels[0, 0], 1.0)


def test_a_figure_is_closed_when_it_has_been_shown(shown):
    plots.show(line(), "one")
    assert plt.get_fignums() == []


def test_the_style_does_not_leak_into_other_figures(shown):
    before = dict(plt.rcParams)
    plots.show(line(), "one")
    assert dict(plt.rcParams) == before


def test_figures_take_subplots_and_the_palette(shown):
    _, axes = plots.figure(nrows=2, ncols=3)
    assert axes.shape == (2, 3)
    (drawn,) = axes[0, 0].plot([1, 2])
    assert drawn.get_color() == plots.COLOURS["blue"]


def test_the_palette_is_eight_colours_of_different_lightness():
    assert len(set(plots.COLOURS.values())) == 8
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in plots.COLOURS.values())


def heat(matrix, **options):
    _, axes = plots.figure()
    return axes, plots.heatmap(axes, matrix, **options)


def test_a_heatmap_draws_the_numbers_of_a_small_matrix(shown):
    matrix = torch.tensor([[0.0, 0.25, 1.0], [0.5, torch.nan, 0.75]], requires_grad=True)
    axes, image = heat(matrix, rows=["a", "b"], columns=["x", "y", "z"], title="Weights")
    got = image.get_array()
    np.testing.assert_array_equal(np.ma.filled(got, np.nan), matrix.detach().numpy())
    assert {t.get_position(): t.get_text() for t in axes.texts} == {
        (0, 0): "0.00",
        (1, 0): "0.25",
        (2, 0): "1.00",
        (0, 1): "0.50",
        (2, 1): "0.75",  # the NaN cell stays empty
    }
    assert [t.get_text() for t in axes.get_xticklabels()] == ["x", "y", "z"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_title() == "Weights"
    assert image.get_clim()[0] == 0.0
    colours = {t.get_text(): t.get_color() for t in axes.texts}
    assert (colours["0.00"], colours["1.00"]) == (
        "#ffffff",
        "#000000",
    )  # to be readable on its cell


@pytest.mark.parametrize(
    ("size", "annotate", "numbers"),
    [((8, 8), None, 64), ((5, 13), None, 0), ((5, 13), True, 65), ((2, 2), False, 0)],
)
def test_numbers_are_written_where_there_are_few(size, annotate, numbers, shown):
    axes, image = heat(np.ones(size), annotate=annotate, vmin=None, vmax=2.0)
    assert len(axes.texts) == numbers
    assert image.get_clim()[1] == 2.0
    assert list(axes.get_xticks()) == []
    assert list(axes.get_yticks()) == []


def test_a_heatmap_can_be_shown(shown):
    _, axes = plots.figure(ncols=2)
    for ax in axes:
        plots.heatmap(ax, torch.rand(3, 3))
    plots.show(axes[0].figure, "Two matrices.")
    assert svg_of(shown[0]).get("aria-label") == "Two matrices."


def test_legend_and_text_added_later_take_the_ink_of_the_page():
    fig, ax = plots.figure()
    ax.plot([0, 1], [0, 1], label="a line")
    legend = ax.legend()
    default, insisted = ax.text(0, 0, "default"), ax.text(1, 1, "black", color="#000000")
    plots._ink_what_was_added(fig)
    assert not legend.get_frame_on()
    assert default.get_color() == legend.get_texts()[0].get_color() != "black"
    assert insisted.get_color() == "#000000"
    plt.close(fig)
