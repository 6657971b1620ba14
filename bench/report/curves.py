"""Robust accuracy against epsilon, one small plot a robustness evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import seaborn as sns
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bench.report import figures
from bench.report.ranking import worst_cases
from bench.results.row import MASKED, SUSPECT, Row
from bench.suite import names
from bench.suite.schema import Robustness
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Plot:
    """One evaluation's plot.

    Attributes:
        evaluation: Its name.
        figure: The plot.
        summary: What it shows, for those who do not see it.
    """

    evaluation: str
    figure: Markup
    summary: str


def curves(suite: Suite, rows: Sequence[Row]) -> list[Plot]:
    """A plot for each robustness evaluation with a worst-case figure at some epsilon."""
    worst = [row for row in worst_cases(suite, rows) if not math.isnan(row.value)]
    clean = [row for row in rows if row.attack == names.CLEAN and not math.isnan(row.value)]
    colour = dict(zip(suite.models, figures.colours(len(suite.models)), strict=True))
    hidden = {(row.evaluation, row.model): row.model_verdict for row in worst if row.model_verdict in (SUSPECT, MASKED)}
    plots = []
    for name, block in suite.evaluations.items():
        if not isinstance(block, Robustness):
            continue
        lines = {}
        for model in block.models:
            attacked = [row for row in worst if (row.evaluation, row.model) == (name, model)]
            unharmed = [row for row in clean if (row.evaluation, row.model) == (name, model)]
            if attacked:
                lines[model] = _points(unharmed, attacked)
        if lines:
            aim = "" if block.threat.target == "none" else f", target {block.threat.target}"
            title = f"{block.threat.norm} radius ε{aim}"
            summary = "; ".join(
                f"{model}: " + ", ".join(f"{value:.1%} at {epsilon:.3g}" for epsilon, value, _, _ in points)
                for model, points in lines.items()
            )
            marked = {model: hidden.get((name, model), "") for model in lines}
            plots.append(Plot(name, _draw(name, title, lines, colour, marked), summary))
    return plots


Points = list[tuple[float, float, float, float]]
"""Epsilon, robust accuracy and the ends of its interval, smallest epsilon first."""


def _points(clean: Sequence[Row], attacked: Sequence[Row]) -> Points:
    """A model's line; at epsilon 0 robust accuracy is clean accuracy."""
    start = [(0.0, row.value, row.low, row.high) for row in clean if all(other.epsilon > 0 for other in attacked)]
    return sorted([*start, *((row.epsilon, row.value, row.low, row.high) for row in attacked)])


def _draw(
    name: str,
    title: str,
    lines: Mapping[str, Points],
    colour: Mapping[str, tuple[float, float, float]],
    marked: Mapping[str, str],
) -> Markup:
    """The plot; lines of models that hide something, by their verdict, are dotted."""
    frame = pd.DataFrame(
        [(model, *point) for model, points in lines.items() for point in points],
        columns=["model", "epsilon", "value", "low", "high"],
    )
    right = float(frame["epsilon"].max()) or 1.0
    height = max(_HEIGHT, 0.2 * len(lines))
    with figures.style():
        figure = Figure(figsize=(4.2, height), layout="constrained")
        axes = figure.subplots()
        sns.lineplot(
            frame, x="epsilon", y="value", hue="model", palette=dict(colour), hue_order=list(lines),
            style="model", dashes={model: (1, 2) if marked[model] else "" for model in lines},
            markers=dict.fromkeys(lines, "o"),
            markersize=4, markeredgewidth=0, linewidth=1.5, errorbar=None, legend=False, clip_on=False,
            ax=axes,
        )  # fmt: skip
        for model, part in frame.groupby("model"):
            low, high = part["low"].clip(0, 1), part["high"].clip(0, 1)
            axes.fill_between(part["epsilon"], low, high, color=colour[str(model)], alpha=0.15, linewidth=0)
        axes.set(xlabel=title, ylabel="robust accuracy", ylim=(0, 1), xlim=(0, right))
        axes.set_xticks(sorted({0.0, *frame["epsilon"]}))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y", alpha=0.5)
        sns.despine(ax=axes, left=True)
        places = _apart([points[-1][1] for points in lines.values()], 0.075 * _HEIGHT / height)
        for model, place in zip(lines, places, strict=True):
            said = f"{model} ({marked[model]})" if marked[model] else model
            axes.text(1.03, place, said, color=colour[model], va="center", transform=axes.get_yaxis_transform())
        return figures.svg(figure, f"curve-{name}")


_HEIGHT = 2.8
"""Height of a plot of a few models, inches."""


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Heights for line names: at least `gap` apart, at most 1, in the order of the values and near them.

    >>> _apart([0.5, 0.5, 1.0], 0.25)
    [0.5, 0.75, 1.0]
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    places = list(values)
    for lower, upper in pairwise(order):
        places[upper] = max(places[upper], places[lower] + gap)
    ceiling = 1.0
    for index in reversed(order):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places
