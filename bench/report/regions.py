"""Mode-collapse regions of generators beside that of real data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from bench.engine.store import Record
from bench.report import figures
from bench.report.records import MissingError, Records
from bench.report.text import figure as number
from bench.suite import names
from bench.suite.schema import Generation, Use


@dataclass(frozen=True)
class Regions:
    """The regions of one evaluation.

    Attributes:
        title: What the suite calls the metric.
        figure: The plot; empty when there is nothing to draw.
        summary: What it shows, for those who do not see it.
        missing: Models without a region, each with the reason.
    """

    title: str
    figure: Markup
    summary: str
    missing: tuple[str, ...]


def regions(records: Records, name: str, block: Generation) -> Iterator[Regions]:
    """A plot for each `collapse_region` of an evaluation."""
    for use in block.metrics:
        if use.name == "collapse_region":
            yield _regions(records, name, block, use)


def _regions(records: Records, name: str, block: Generation, use: Use) -> Regions:
    found: dict[str, list[Record]] = {}
    missing = []
    for model in (*block.models, names.REAL_DATA):
        cell = records.cells.get((name, model, use.label, None))
        try:
            records.first_job(cell)
            found[model] = [records.read(job) for trial in (cell.trials if cell else ()) for job in trial]
        except MissingError as error:
            missing.append(f"{model}: {error}")
    summary = "; ".join(
        f"{model}: widest gap {', '.join(number(record.meta['values']['total_variation']) for record in each)}"
        for model, each in found.items()
    )
    figure = _draw(f"regions-{name}-{use.label}", found) if found else Markup()
    return Regions(use.label, figure, summary, tuple(missing))


def _draw(name: str, found: dict[str, list[Record]]) -> Markup:
    """The boundaries, one line a trial; what lies below a line is in the region."""
    models = [model for model in found if model != names.REAL_DATA]
    colour = dict(zip(models, figures.colours(len(models)), strict=True))
    with figures.style():
        # names may be long: they stand below, a line each, so that the axes keep their size
        figure = Figure(figsize=(4.0, 3.6 + 0.24 * len(found)), layout="constrained")
        axes = figure.add_subplot(
            xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="ε: at most this much of what is drawn",
            ylabel="δ: at least this much of the data", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1),
        )  # fmt: skip
        axes.plot((0, 1), (0, 1), color=figures.FAINT, linewidth=0.8)
        for model, trials in found.items():
            for index, record in enumerate(trials):
                look = (
                    {"color": figures.INK, "linestyle": "--"} if model == names.REAL_DATA else {"color": colour[model]}
                )
                axes.plot(
                    record.arrays["epsilon"], record.arrays["delta"], linewidth=1.4, clip_on=False,
                    alpha=1 if len(trials) == 1 else 0.6, label=model if index == 0 else None, **look,
                )  # fmt: skip
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), frameon=False, handlelength=1.4, borderaxespad=0)
        return figures.svg(figure, name)
