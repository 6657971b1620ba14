"""Quoted figures beside reproduced ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.row import Row


@dataclass(frozen=True)
class Quoted:
    """A figure a source states, and ours.

    Attributes:
        row: Our row.
        difference: Ours minus the quoted one; NaN when we have none.
        relation: Where the quoted figure lies, in words.
    """

    row: Row
    difference: float
    relation: str


def quoted(rows: Sequence[Row]) -> list[Quoted]:
    """The rows for which the suite quotes a figure, in its order."""
    return [Quoted(row, row.value - row.quoted, _relation(row)) for row in rows if not math.isnan(row.quoted)]


def _relation(row: Row) -> str:
    """Whether the quoted figure, with its stated uncertainty, meets our interval."""
    if math.isnan(row.value):
        return row.status if row.status != "ok" else "no figure of ours to compare with"
    if math.isnan(row.low) or math.isnan(row.high):
        return "no interval of ours to compare with"
    slack = 0.0 if math.isnan(row.quoted_plus_minus) else row.quoted_plus_minus
    if row.quoted + slack < row.low:
        return "quoted lies below ours"
    if row.quoted - slack > row.high:
        return "quoted lies above ours"
    return "within our interval" if slack == 0 else "the two overlap"
