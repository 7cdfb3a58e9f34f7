"""Figures for the book and for notebooks: one look, readable in light and dark, on a phone.

`figure` makes a matplotlib figure, `show` displays it as inline SVG whose text takes the
page's own colour, with a PNG for places that cannot show SVG. Needs the extra ``[book]``.
"""

import html
import io
import re
import uuid

__all__ = ["COLOURS", "figure", "heatmap", "show"]

# Okabe, Ito 2008: eight colours that people with any kind of colour vision can tell apart;
# black left out because a figure may stand on a dark page.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "grey": "#8A8A8A",
}

# Marks whatever must take the page's text colour; replaced by "currentColor" in the SVG.
_INK = "#7f7f80"
_CJK_FONTS = ["Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "PingFang SC", "SimHei"]


def figure(width: float = 6.0, height: float = 3.4, **subplots):
    """A figure and its axes in the project's style, ``plt.subplots`` with our defaults.

    Args:
        width, height: inches; the page scales the figure down to its column.
        **subplots: passed on to ``plt.subplots``.
    """
    import matplotlib.pyplot as plt
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [name for name in _CJK_FONTS if name in installed]
    style = {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
        "font.family": ["DejaVu Sans", *fonts],
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.fonttype": "path",
    }
    inks = ["text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor"]
    style |= dict.fromkeys([*inks, "xtick.color", "ytick.color"], _INK)
    with plt.rc_context(style):
        return plt.subplots(figsize=(width, height), layout="constrained", **subplots)


def show(fig, alt: str):
    """Display a figure with its description, and close it.

    Args:
        fig: a matplotlib figure.
        alt: what the figure shows, for people who cannot see it. Required, and not empty.

    Raises:
        ValueError: if ``alt`` is empty.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    if not alt.strip():
        raise ValueError("say in alt what the figure shows")
    _ink_what_was_added(fig)
    svg, png = io.StringIO(), io.BytesIO()
    with plt.rc_context({"svg.hashsalt": alt, "svg.fonttype": "path"}):
        fig.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    fig.savefig(png, format="png", dpi=150, facecolor="white")
    plt.close(fig)
    bundle = {
        "text/html": _inline(svg.getvalue(), alt),
        "image/png": png.getvalue(),
        "text/plain": f"Figure: {alt}",
    }
    display(bundle, raw=True)


def _ink_what_was_added(fig) -> None:
    """Legends and texts drawn after `figure` returned know nothing of its style: give it to them.

    Only texts of matplotlib's default colour are touched; "#000000" stays black.
    """
    from matplotlib.legend import Legend
    from matplotlib.text import Text

    for legend in fig.findobj(Legend):
        legend.set_frame_on(False)
    for text in fig.findobj(Text):
        if isinstance(text.get_color(), str) and text.get_color() == "black":
            text.set_color(_INK)


def _inline(svg: str, alt: str) -> str:
    """An SVG file as an element of a page: no prolog, ids of its own, the page's text colour."""
    svg = svg[svg.index("<svg") :]
    prefix = uuid.uuid5(uuid.NAMESPACE_URL, alt + svg).hex[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace(_INK, "currentColor")
    width = re.search(r'width="([\d.]+)pt"', svg)
    style = f"width:{float(width[1]) * 4 / 3:.0f}px;max-width:100%;height:auto" if width else ""
    svg = re.sub(r'(<svg[^>]*?)\s+width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\s+height="[^"]*"', r"\1", svg, count=1)
    label = html.escape(alt, quote=True)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}" style="{style}"', 1)
    return f'<div class="encoderlib-figure">{svg}</div>'


def heatmap(
    axes,
    matrix,
    rows=None,
    columns=None,
    *,
    annotate: bool | None = None,
    vmin: float | None = 0.0,
    vmax: float | None = None,
    title: str = "",
):
    """Draw a matrix as coloured cells, with its numbers when there are few enough to read.

    Args:
        axes: matplotlib axes.
        matrix: ``(R, C)`` tensor or array; NaN cells stay empty.
        rows, columns: tick labels.
        annotate: write the numbers; by default when there are at most 64 cells.
        vmin, vmax: ends of the colour scale.
        title: above the matrix.
    """
    import numpy as np

    matrix = np.asarray(matrix.detach().cpu() if hasattr(matrix, "detach") else matrix, dtype=float)
    image = axes.imshow(matrix, cmap="cividis", vmin=vmin, vmax=vmax, aspect="equal")
    axes.set_xticks(range(matrix.shape[1]) if columns is not None else [], columns or [])
    axes.set_yticks(range(matrix.shape[0]) if rows is not None else [], rows or [])
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if annotate if annotate is not None else matrix.size <= 64:
        for (i, j), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                ink = "#000000" if image.norm(value) > 0.5 else "#ffffff"
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=9)
    return image
