"""Figures as text: SVG that takes the page's colours, PNG where points are many. pyplot is never used."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import seaborn as sns
from markupsafe import Markup
from matplotlib.figure import Figure

from bench.report.images import png_uri

INK, FAINT = "#010203", "#040506"
"""Colours to draw text and quiet lines with: in the page they become its own, light or dark."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: the page's font, and readable by search and by tests
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "font.size": 9,
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.6,
}


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures, for as long as one is drawn."""
    look: dict[Any, Any] = {**sns.axes_style("ticks"), **_STYLE}
    with mpl.rc_context(look):
        yield


def colours(count: int) -> list[tuple[float, float, float]]:
    """That many colours which can be told apart on white and on black, also by the colour-blind up to ten."""
    palette = sns.color_palette("colorblind", count) if count <= 10 else sns.husl_palette(count, s=0.8, l=0.6)
    return [(float(red), float(green), float(blue)) for red, green, blue in palette]


def svg(figure: Figure, name: str) -> Markup:
    """A figure as an inline SVG element that scales with its container; `name` keeps its ids apart from others'."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, count=1)
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    return Markup(text)  # noqa: S704 - drawn by matplotlib, which escapes what it is given


def png(figure: Figure, dpi: int) -> str:
    """A figure as a data URI of a PNG with a transparent background."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, transparent=True)
    return png_uri(buffer.getvalue())
