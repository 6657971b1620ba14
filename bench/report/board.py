"""The leaderboard as the page's script reads it, and what its columns and metrics mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.metrics.catalogue import METRICS
from bench.results.row import Row
from bench.suite import names
from bench.suite.schema import Generation, Reconstruction, Robustness, Transfer
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Column:
    """One column of the table: a field of `Row`, or ``difference``."""

    key: str
    title: str
    kind: Literal["text", "number"]
    hint: str


COLUMNS = (
    Column("evaluation", "evaluation", "text", "block of the suite"),
    Column("model", "model", "text", "the model that is judged"),
    Column("attack", "attack", "text", "its label; clean: no attack; worst-case: per sample the worst of all attacks"),
    Column("surrogate", "surrogate", "text", "the model that transferred examples were crafted on"),
    Column("threat", "threat", "text", "norm and radius; trade-off of an attack on autoencoders; data of a generator"),
    Column("metric", "metric", "text", "↑ higher is better for the model, ↓ lower is better"),
    Column("value", "value", "number", "the figure: mean over samples, and over trials where there are several"),
    Column("low", "low", "number", "lower end of the 95 % interval"),
    Column("high", "high", "number", "upper end of the 95 % interval"),
    Column("n", "n", "number", "samples a trial behind the figure"),
    Column("trials", "trials", "number", "trained models behind the figure"),
    Column("quoted", "quoted", "number", "the figure a source states"),
    Column("quoted_plus_minus", "±", "number", "its uncertainty, as the source states it"),
    Column("difference", "ours − quoted", "number", "our figure minus the quoted one"),
    Column("quoted_source", "source", "text", "where the quoted figure is from"),
    Column("row_verdict", "row verdict", "text", "was the attack strong enough; unaudited: nobody has checked"),
    Column("model_verdict", "model verdict", "text", "can its robustness be trusted; unaudited: nobody has checked"),
    Column(
        "at_most", "at most", "number", "what robust accuracy is at most, where an audit knows more samples to fall"
    ),
    Column("reason", "reason", "text", "what the verdicts follow from, and what to try next"),
    Column("status", "status", "text", "how the jobs behind the row ended"),
    Column("message", "message", "text", "what went wrong, or what a reader must know"),
    Column("basis", "basis", "text", "what figures made from features depend on: comparable only where it is equal"),
    Column("forwards", "forwards", "number", "forward passes a sample, mean"),
    Column("backwards", "backwards", "number", "backward passes a sample, mean"),
    Column(
        "memory", "memory", "number", "most memory of a job behind the row, MiB: of the GPU, or of the whole process"
    ),
    Column("seconds", "seconds", "number", "time of the jobs behind the row"),
    Column("row", "row id", "text", "as `expect:` and `quoted:` name it"),
)

STATUSES = {
    "ok": "all jobs behind the row ended well",
    "failed": "a job raised an error",
    "lost": "a job's process died",
    "timeout": "a job took longer than the suite allows",
    "oom": "memory ran out even for a single sample",
    "skipped": "something the row needs is not there",
    "not-run": "the run ended before it, or was told to leave it out",
}


def table(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows by column, with each different text stored once; columns with nothing in them are left out.

    Returns:
        ``columns``: key, title, kind and hint of each; ``data``: by key, numbers (None for NaN), or for texts a
        ``pool`` and for each row an index into it; ``directions`` likewise, beside the metric.
    """
    values: dict[str, list[Any]] = {
        column.key: [row.value - row.quoted for row in rows]
        if column.key == "difference"
        else [getattr(row, column.key) for row in rows]
        for column in COLUMNS
    }
    kept = [column for column in COLUMNS if not all(map(_empty, values[column.key]))]
    return {
        "columns": [vars(column) for column in kept],
        "data": {
            column.key: _pooled(values[column.key]) if column.kind == "text" else _numbers(values[column.key])
            for column in kept
        },
        "directions": _pooled([row.direction for row in rows]),
        "count": len(rows),
    }


def _empty(value: object) -> bool:
    return value == "" or (isinstance(value, float) and math.isnan(value))


def _numbers(values: Iterable[float]) -> list[float | None]:
    """Numbers as JSON can say them, to nine digits."""
    return [float(f"{value:.9g}") if math.isfinite(value) else None for value in values]


def _pooled(values: Sequence[str]) -> dict[str, list[Any]]:
    pool = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return {"pool": list(pool), "index": [pool[value] for value in values]}


@dataclass(frozen=True)
class Meaning:
    """What a metric of this run is: its name in the rows, where it is used, one line, a source."""

    metric: str
    where: str
    line: str
    source: str


_RECONSTRUCTION = (
    ("input_distortion", "Length of the change over the distance between origin and target; 1: as far as the target."),
    (
        "target_distance",
        "Distance of the reconstruction from the target: 0 as near as the target's own reconstruction, "
        "1 as far as that of the unchanged origin.",
    ),
    ("success_rate", "Share of pairs whose reconstruction ends nearer to the target's than to the origin's."),
    ("reconstruction_error", "Mean squared error a pixel on clean images: a bad autoencoder is no robust one."),
    ("auddc", "Area under the curve of target distance over input distortion; lower is easier to attack."),
)
_TABACOF = "Tabacof, Tavares, Valle 2016, section 4"


def meanings(suite: Suite) -> list[Meaning]:
    """The metrics of a suite, in its order."""
    found: dict[tuple[str, str], Meaning] = {}

    def note(meaning: Meaning) -> None:
        found.setdefault((meaning.metric, meaning.line), meaning)

    for block in suite.evaluations.values():
        if isinstance(block, Reconstruction):
            for metric, line in _RECONSTRUCTION:
                note(Meaning(metric, block.kind, line, _TABACOF))
            continue
        if isinstance(block, Robustness):
            line = "Share of all samples classified correctly without any attack."
            note(Meaning("accuracy", block.kind, line, ""))
        for meaning in _catalogued(block):
            note(meaning)
    return list(found.values())


def _catalogued(block: Robustness | Transfer | Generation) -> Iterable[Meaning]:
    for use in block.metrics:
        if use.imported:
            yield Meaning(use.label, block.kind, f"A metric of the user's: {use.name}.", "")
            continue
        entry = METRICS[use.name]
        yield Meaning(", ".join(names.metric_rows(use)), block.kind, entry.line, entry.source)
