"""What generators draw: points in the plane beside real ones, images on a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.data.catalogue import DATA
from bench.data.mixtures import Modes, modes_of
from bench.metrics.modes import RADIUS
from bench.report import figures, images
from bench.report.histories import Heat, histories
from bench.report.records import MissingError, Records
from bench.report.regions import Regions, regions
from bench.report.text import figure as number
from bench.suite import names
from bench.suite.schema import Generation

IMAGES, COLUMNS = 60, 10
"""Images of a sheet, and of one of its lines."""
POINTS = 5000
"""Points of a scatter plot at the most."""


@dataclass(frozen=True)
class Drawn:
    """Samples of one model, or real ones.

    Attributes:
        model: Its name, or ``real-data``.
        picture: A data URI; empty when `missing` says why.
        figures: Metrics of just these samples: names, and values in words.
        note: What a reader must know of the picture.
        missing: Why there is no picture.
    """

    model: str
    picture: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    note: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Panel:
    """The samples of one evaluation.

    Attributes:
        evaluation: Its name.
        points: Whether they are points in the plane.
        modes: How many known modes are marked.
        frame: Ends of both axes, in words; empty for images.
        drawn: Real samples first.
        regions: Mode-collapse regions, where they are measured.
        histories: Modes over the training of each model, where that is measured.
    """

    evaluation: str
    points: bool
    modes: int
    frame: str
    drawn: tuple[Drawn, ...]
    regions: tuple[Regions, ...]
    histories: tuple[Heat, ...]


def panels(records: Records) -> list[Panel]:
    """A panel for each generation evaluation."""
    return [
        _panel(records, name, block)
        for name, block in records.suite.evaluations.items()
        if isinstance(block, Generation)
    ]


def _panel(records: Records, name: str, block: Generation) -> Panel:
    samples: dict[str, NDArray[np.floating] | str] = {}
    for model in (names.REAL_DATA, *block.models):
        try:
            samples[model] = records.read(f"sample/{name}/{model}/0").arrays["samples"]
        except MissingError as error:
            samples[model] = str(error)
    mixture = DATA[source].traits.get("mixture") if (source := records.suite.data[block.data].source) in DATA else None
    modes = modes_of(mixture) if mixture else None
    given = [values for values in samples.values() if not isinstance(values, str)]
    plane = bool(given) and given[0].shape[1:] == (2,)
    frame = _frame(given[0], modes) if plane else (0.0, 0.0)
    low, high = images.value_range(_declared(records, name), given[0]) if given and not plane else frame
    drawn = []
    for model, values in samples.items():
        facts = _figures(records, name, block, model)
        if isinstance(values, str):
            drawn.append(Drawn(model, missing=values))
        elif plane and values.shape[1:] == (2,):
            picture, note = _scatter(values, frame, modes)
            drawn.append(Drawn(model, picture, facts, ". ".join(filter(None, [_which(records, model), note]))))
        elif (shown := images.as_images(values[:IMAGES])) is not None:
            sheet = images.tile(images.to_pixels(shown, low, high), COLUMNS)
            drawn.append(Drawn(model, images.uri(sheet, largest=640), facts, _which(records, model)))
        else:
            missing = f"samples of shape {values.shape[1:]} are neither images nor points in the plane"
            drawn.append(Drawn(model, figures=facts, missing=missing))
    ends = f"{number(frame[0])} to {number(frame[1])}" if plane else ""
    known = len(modes.centres) if plane and modes else 0
    over_training = tuple(histories(records, name, block))
    return Panel(name, plane, known, ends, tuple(drawn), tuple(regions(records, name, block)), over_training)


def _declared(records: Records, name: str) -> tuple[float, float] | None:
    job = records.plan.jobs.get(f"sample/{name}/{names.REAL_DATA}/0")
    return job.work["data"]["range"] if job else None


def _which(records: Records, model: str) -> str:
    """Which trial is shown, where there are several."""
    trials = 1 if model == names.REAL_DATA else records.suite.models[model].block.trials
    return f"First of {trials} trials" if trials > 1 else ""


def _figures(records: Records, name: str, block: Generation, model: str) -> tuple[tuple[str, str], ...]:
    """The metrics of a model's first trial."""
    found: list[tuple[str, str]] = []
    for use in block.metrics:
        try:
            job = records.first_job(records.cells.get((name, model, use.label, None)))
            values: Mapping[str, float | None] = records.read(job).meta["values"]
        except MissingError:
            continue
        pairs = zip(names.metric_rows(use), names.metric_keys(use), strict=True)
        found += [(row, "never" if (value := values[key]) is None else number(value, 3)) for row, key in pairs]
    return tuple(found)


def _frame(points: NDArray[np.floating], modes: Modes | None) -> tuple[float, float]:
    """Ends of both axes: the reach of real points, or of the modes, and a quarter of it on either side."""
    reach = points if modes is None else modes.centres
    low, high = float(reach.min()), float(reach.max())
    margin = max(high - low, 1e-6) / 8
    return low - margin, high + margin


def _scatter(points: NDArray[np.floating], frame: tuple[float, float], modes: Modes | None) -> tuple[str, str]:
    """A scatter plot as a data URI, and how many points it leaves out."""
    shown = points[:POINTS]
    outside = int((~((shown >= frame[0]) & (shown <= frame[1])).all(1)).sum())
    with figures.style():
        figure = Figure(figsize=(2.6, 2.6))
        axes = figure.add_axes((0, 0, 1, 1), xlim=frame, ylim=frame, aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if modes is not None:
            width = np.full(len(modes.centres), 2 * RADIUS * modes.deviation)
            axes.add_collection(
                EllipseCollection(
                    width, width, np.zeros_like(width), units="xy", offsets=modes.centres,
                    offset_transform=axes.transData, facecolors="none", edgecolors="#d1720e", linewidths=0.8,
                )
            )  # fmt: skip
        axes.scatter(shown[:, 0], shown[:, 1], s=2.5, color="#3b82c4", alpha=0.6, linewidths=0)
        picture = figures.png(figure, dpi=160)
    notes = [f"{outside:,} of {len(shown):,} points lie outside the frame"] if outside else []
    notes += [f"The first {len(shown):,} of {len(points):,} points"] if len(points) > len(shown) else []
    return picture, ". ".join(notes)
