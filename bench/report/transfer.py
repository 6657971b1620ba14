"""Transfer as tables of surrogates and victims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.metrics.catalogue import METRICS
from bench.results.row import Row
from bench.suite import names
from bench.suite.schema import Transfer
from bench.suite.spec import Suite

_SHARES = ("success_rate", "robust_accuracy")
"""Metrics that fill the table, the first one measured; both are shares."""


@dataclass(frozen=True)
class Square:
    """One surrogate and one victim.

    Attributes:
        row: Their row; None when the run has none.
        heat: How much the attack achieved, 0 to 1; NaN without a figure.
        white_box: Whether surrogate and victim are the same model.
    """

    row: Row | None
    heat: float
    white_box: bool


@dataclass(frozen=True)
class Grid:
    """One attack under one threat.

    Attributes:
        evaluation: Name of the evaluation.
        attack: Label of the attack.
        threat: The threat part of the row ids.
        metric: What the figures are.
        meaning: That in a sentence.
        victims: Column heads.
        lines: For each surrogate, its name and a square for each victim.
    """

    evaluation: str
    attack: str
    threat: str
    metric: str
    meaning: str
    victims: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Square, ...]], ...]

    @property
    def samples(self) -> str:
        """How many samples each figure is over: one number, or the smallest and the largest; empty without figures."""
        counts = sorted({square.row.n for _, line in self.lines for square in line if square.row and square.row.n})
        return "–".join(f"{count:,}" for count in dict.fromkeys([*counts[:1], *counts[-1:]]))


def grids(suite: Suite, rows: Sequence[Row]) -> list[Grid]:
    """A table for each attack and radius of each transfer evaluation that measures a share."""
    by_id = {row.row: row for row in rows}
    return [
        _grid(name, block, use.label, epsilon, metric, by_id)
        for name, block in suite.evaluations.items()
        if isinstance(block, Transfer) and (metric := _metric(block))
        for use in block.attacks
        for epsilon in block.threat.epsilon
    ]


def _metric(block: Transfer) -> tuple[str, str] | None:
    """The metric to show: its name in the catalogue, and in the rows."""
    measured = {use.name: next(iter(names.metric_rows(use))) for use in block.metrics}
    return next(((name, measured[name]) for name in _SHARES if name in measured), None)


def _grid(
    name: str, block: Transfer, attack: str, epsilon: float, metric: tuple[str, str], by_id: Mapping[str, Row]
) -> Grid:
    threat = names.threat(block.threat.norm, epsilon, block.threat.target)

    def square(surrogate: str, victim: str) -> Square:
        label = names.from_surrogate(attack, surrogate)
        row = by_id.get(names.row_id(name, victim, label, threat, metric[1]))
        value = math.nan if row is None else row.value
        heat = 1 - value if metric[0] == "robust_accuracy" else value
        return Square(row, heat, surrogate == victim)

    lines = tuple((source, tuple(square(source, victim) for victim in block.victims)) for source in block.surrogates)
    return Grid(name, attack, threat, metric[1], METRICS[metric[0]].line, tuple(block.victims), lines)
