"""The CSV files of a run."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.engine.state import JobState
from bench.engine.store import read_record
from bench.results.classified import read_classified
from bench.results.row import Row
from bench.suite import names
from bench.suite.jobs import Plan
from bench.suite.schema import Reconstruction, Robustness, Transfer
from bench.suite.spec import Suite

KNOWN = ("attacked", "inferred", "misclassified", "measured")
"""How an outcome is known: attacked at this epsilon; inferred from what happened at another; wrong before any attack;
measured, as the distance of the nearest example an attack found."""

_OUTCOME_COLUMNS = (
    "evaluation", "model", "trial", "attack", "surrogate", "threat", "sample", "label", "correct", "broken", "known",
    "valid", "margin", "confidence", "distance", "input_distortion", "target_distance", "forwards", "backwards",
)  # fmt: skip


def text(value: object) -> str:
    """A value in a CSV file: nothing for NaN, numbers to nine digits."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def leaderboard(rows: Sequence[Row]) -> str:
    """The rows as CSV, one line a row."""
    columns = [column.name for column in dataclasses.fields(Row)]
    return _csv(columns, ([text(getattr(row, column)) for column in columns] for row in rows))


def outcomes(suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> str:
    """What happened to each sample, as CSV; attacks whose jobs did not all end well are left out."""
    return _csv(_OUTCOME_COLUMNS, _outcome_lines(suite, plan, states))


def _csv(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return buffer.getvalue()


def _outcome_lines(suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> Iterator[list[str]]:
    for cell in plan.cells:
        block = suite.evaluations[cell.evaluation]
        for trial, jobs in enumerate(cell.trials):
            if any(job not in states or states[job].status != "ok" for job in jobs):
                continue
            head = [cell.evaluation, cell.model, str(trial), cell.part, cell.surrogate or ""]
            if isinstance(block, Robustness | Transfer):
                yield from _classified_lines(block, jobs, states, head)
            elif isinstance(block, Reconstruction):
                yield from _reconstructed_lines(jobs[0], states, head)


def _classified_lines(
    block: Robustness | Transfer, jobs: Sequence[str], states: Mapping[str, JobState], head: list[str]
) -> Iterator[list[str]]:
    found = read_classified([read_record(path) for job in jobs if (path := states[job].path)], {})
    labels, correct = found.label.tolist(), found.correct.tolist()
    for level, epsilon in enumerate(sorted(block.threat.epsilon)):
        place = names.threat(block.threat.norm, epsilon, block.threat.target)
        columns = zip(
            found.broken[level].tolist(), found.known[level].tolist(), found.valid[level].tolist(),
            found.margin[level].tolist(), found.confidence[level].tolist(), found.distance[level].tolist(),
            found.forwards[level].tolist(), found.backwards[level].tolist(), strict=True,
        )  # fmt: skip
        for index, (broken, known, valid, margin, confidence, distance, forwards, backwards) in enumerate(columns):
            yield [
                *head, place, found.ids[index], str(labels[index]), text(correct[index]), text(broken), KNOWN[known],
                text(valid), text(margin), text(confidence), text(distance), "", "", text(forwards), text(backwards),
            ]  # fmt: skip


def _reconstructed_lines(job: str, states: Mapping[str, JobState], head: list[str]) -> Iterator[list[str]]:
    path = states[job].path
    if path is None:
        return
    record = read_record(path)
    for level, weight in enumerate(record.meta["trade_off"]):
        for index, name in enumerate(record.meta["ids"]):
            broken, valid, distance, x, y = (
                text(record.arrays[key][level, index].item())
                for key in ("reached", "valid", "distance", "input_distortion", "target_distance")
            )
            place = f"trade-off-{names.number(weight)}"
            yield [*head, place, name, "", "", broken, "attacked", valid, "", "", distance, x, y, "", ""]
