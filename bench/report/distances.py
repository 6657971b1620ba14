"""Generators by their distance from the data: in one table only what was measured alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.row import Row


@dataclass(frozen=True)
class Standing:
    """Models whose distances can be compared, the nearest first.

    Attributes:
        evaluation: Name of the evaluation.
        metric: Name of the distance.
        basis: What all of them were measured with.
        rows: The models' rows, and real data's where it was measured alike.
    """

    evaluation: str
    metric: str
    basis: str
    rows: tuple[Row, ...]


def standings(rows: Sequence[Row]) -> list[Standing]:
    """One standing for each evaluation, distance and basis, in the order of the rows.

    Figures that differ in network, resizing or numbers of samples stand in different tables: a distance falls with the
    number of samples alone. Rows without a figure have no basis, and are left to the leaderboard.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.basis and row.direction == "lower" and not math.isnan(row.value):
            groups.setdefault((row.evaluation, row.metric, row.basis), []).append(row)
    return [Standing(*key, tuple(sorted(group, key=lambda row: row.value))) for key, group in groups.items()]
