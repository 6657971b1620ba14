"""Which modes a generator hit while it was trained: a heat map of looks and modes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from markupsafe import Markup
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from bench.data.catalogue import DATA
from bench.data.mixtures import modes_of
from bench.engine.store import Record
from bench.report import figures
from bench.report.records import MissingError, Records
from bench.report.text import figure as number
from bench.suite import names
from bench.suite.schema import Generation

MOST = 2.0
"""The strongest colour: that many times as many points as the data have, or more."""
_COLOURS = ListedColormap(sns.color_palette("viridis", 120)[24:112])
"""From blue to yellow without their ends, so that every cell with points stands out on white and on black."""


@dataclass(frozen=True)
class Heat:
    """The looks of one model's first trial.

    Attributes:
        model: Its name.
        figure: The heat map; None when `missing` says why.
        caption: What is seen.
        summary: The same with figures, for those who do not see it.
        missing: Why there is no heat map.
    """

    model: str
    figure: Markup | None = None
    caption: str = ""
    summary: str = ""
    missing: str = ""


def histories(records: Records, name: str, block: Generation) -> Iterator[Heat]:
    """A heat map for each model and `history` of an evaluation."""
    for use in filter(names.needs_looks, block.metrics):
        for model in block.models:
            title = model if use.label == use.name else f"{model}, {use.label}"
            try:
                job = records.first_job(records.cells.get((name, model, use.label, None)))
                record = records.read(job)
            except MissingError as error:
                yield Heat(title, missing=str(error))
                continue
            shares = modes_of(DATA[records.suite.data[block.data].source].traits["mixture"]).shares
            trials = records.suite.models[model].block.trials
            least = int(use.options["least"])
            caption = _caption(record, least) + (f" First of {trials} trials." if trials > 1 else "")
            summary = _summary(record.arrays, least)
            figure = _draw(f"history-{name}-{model}-{use.label}", record.arrays, shares)
            yield Heat(title, figure, caption, summary)


def _caption(record: Record, least: int) -> str:
    """What the heat map shows, in words."""
    hit = record.arrays["histogram"][-1] >= least
    first, lost = record.meta["values"]["iterations_to_all_modes"], int(record.meta["values"]["modes_lost"])
    when = "never all hit at one look" if first is None else f"all hit first after {int(first):,} iterations"
    times = {0: "no mode is lost from one look to the next", 1: "once a mode is lost from one look to the next"}
    last = f"{int(hit.sum())} of {len(hit)} at the last look"
    return (
        f"The modes are {when}; {times.get(lost, f'{lost:,} times a mode is lost from one look to the next')}; {last}."
    )


def _summary(arrays: Mapping[str, NDArray[np.int64]], least: int) -> str:
    """The modes hit and the share of points near none, look by look."""
    points = arrays["histogram"].sum(1) + arrays["outside"]
    looks = zip(arrays["iterations"], (arrays["histogram"] >= least).sum(1), arrays["outside"] / points, strict=True)
    return "; ".join(
        f"after {at} iterations {hit} modes, {outside:.0%} of points near none" for at, hit, outside in looks
    )


def _draw(name: str, arrays: Mapping[str, NDArray[np.int64]], shares: NDArray[np.float64]) -> Markup:
    """Modes from below, looks from the left; above them the share of points that are near a mode."""
    points = arrays["histogram"].sum(1) + arrays["outside"]
    ratio = arrays["histogram"] / (points[:, None] * shares[None, :])
    looks, modes = ratio.shape
    with figures.style():
        figure = Figure(figsize=(4.6, 1.5 + min(3.2, 0.11 * modes + 0.6)), layout="constrained")
        upper, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3.5))
        upper.step(
            np.arange(looks + 1) - 0.5, np.append(1 - arrays["outside"] / points, np.nan)[[*range(looks), looks - 1]],
            where="post", color="#3b82c4", linewidth=1.5,
        )  # fmt: skip
        upper.set(ylim=(0, 1.05), yticks=(0, 1), yticklabels=("0", "100 %"))
        upper.set_title("points near a mode", loc="left", fontsize=9)
        sns.despine(ax=upper)
        image = axes.imshow(
            np.ma.masked_equal(ratio, 0).T, cmap=_COLOURS, vmin=0, vmax=MOST, aspect="auto", origin="lower",
            interpolation="none",
        )  # fmt: skip
        axes.set(xlabel="iterations", ylabel="mode")
        step = max(1, math.ceil(looks / 5))
        ticks = range(looks - 1, -1, -step)
        axes.set_xticks(list(ticks), [number(float(arrays["iterations"][tick])) for tick in ticks])
        axes.set_yticks([0, modes - 1], ["1", str(modes)])
        bar = figure.colorbar(image, ax=axes, extend="max", ticks=[0, 1, MOST], label="points; in the data: 1")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.outline.set_visible(False)
        return figures.svg(figure, name)
