"""The ranking: worst-case robust accuracy of the models of each robustness evaluation under each threat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.results.row import RANK, Row
from bench.results.rows import NOT_ASKED
from bench.suite import names
from bench.suite.schema import Robustness
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Place:
    """A model in a ranking.

    Attributes:
        row: Its worst-case row.
        rank: Its rank, or the ranks its interval leaves open (``1–2``); empty where nothing can be said.
    """

    row: Row
    rank: str

    @property
    def spread(self) -> tuple[float, float] | None:
        """Where the interval starts and how long it is, percent of the axis from 0 to 1; None without interval."""
        if math.isnan(self.row.low) or math.isnan(self.row.high):
            return None
        low, high = (min(1.0, max(0.0, end)) for end in (self.row.low, self.row.high))
        return 100 * low, 100 * (high - low)


@dataclass(frozen=True)
class Ranking:
    """The models of one evaluation under one threat, the most robust first and those without a figure last."""

    evaluation: str
    threat: str
    attacks: tuple[str, ...]
    places: tuple[Place, ...]


def robust_metrics(suite: Suite, evaluation: str) -> list[str]:
    """What the rows of an evaluation call robust accuracy: its label in the suite; empty when it is not measured."""
    block = suite.evaluations[evaluation]
    if not isinstance(block, Robustness):
        return []
    return [row for use in block.metrics if use.name == "robust_accuracy" for row in names.metric_rows(use)]


def worst_cases(suite: Suite, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows that rank models, with a figure or without."""
    metrics = {name: robust_metrics(suite, name)[:1] for name in suite.evaluations}
    return (row for row in rows if row.attack == names.WORST_CASE and row.metric in metrics[row.evaluation])


def rankings(suite: Suite, rows: Sequence[Row]) -> list[Ranking]:
    """One ranking for each robustness evaluation and threat, in the order of the suite; none of what was left out."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in worst_cases(suite, rows):
        groups.setdefault((row.evaluation, row.threat), []).append(row)
    return [
        Ranking(evaluation, threat, _attacks(suite, evaluation), _places(group))
        for (evaluation, threat), group in groups.items()
        if any(row.message != NOT_ASKED for row in group)
    ]


def _attacks(suite: Suite, evaluation: str) -> tuple[str, ...]:
    block = suite.evaluations[evaluation]
    return tuple(names.attack_parts(block)) if isinstance(block, Robustness) else ()


def standing(row: Row) -> tuple[int, float]:
    """What rows are ordered by: no model that hides something stands above one that can be trusted."""
    return RANK[row.model_verdict], -row.value


def _places(group: Sequence[Row]) -> tuple[Place, ...]:
    figures = sorted((row for row in group if not math.isnan(row.value)), key=standing)
    ranks = _ranks(figures)
    without = [row for row in group if math.isnan(row.value)]
    return tuple(Place(row, ranks.get(row.row, "")) for row in [*figures, *without])


def _ranks(rows: Sequence[Row]) -> Mapping[str, str]:
    """The ranks each row can have: above it are better verdicts, and those whose whole interval lies above its own."""
    if len(rows) < 2 or any(math.isnan(row.low) or math.isnan(row.high) for row in rows):
        return {}
    ranks = {}
    for row in rows:
        verdict = RANK[row.model_verdict]
        alike = [other for other in rows if RANK[other.model_verdict] == verdict]
        best = 1 + sum(RANK[other.model_verdict] < verdict for other in rows) + sum(o.low > row.high for o in alike)
        below = sum(RANK[other.model_verdict] > verdict for other in rows) + sum(o.high < row.low for o in alike)
        worst = len(rows) - below
        ranks[row.row] = str(best) if best == worst else f"{best}–{worst}"
    return ranks
