"""What the audits found: the verdict on each model, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.audit.finding import LEVELS
from bench.results.row import Row
from bench.results.verdicts import Judged
from bench.suite import names


@dataclass(frozen=True)
class Line:
    """A finding.

    Attributes:
        check: Name of the check, with the attack or trial it is of.
        finding: Its fields.
    """

    check: str
    finding: Mapping[str, Any]


@dataclass(frozen=True)
class Audited:
    """A model in an evaluation.

    Attributes:
        evaluation: Name of the evaluation.
        model: Name of the model.
        verdict: ``trusted``, ``suspect`` or ``masked``.
        reason: What a reviewer would write, and what to try next.
        lines: What was found, the worst first.
        counts: How many findings failed, warned and passed, in words.
        cost: Passes of the audit as a share of those of the attacks; NaN where the attacks made none.
    """

    evaluation: str
    model: str
    verdict: str
    reason: str
    lines: tuple[Line, ...]
    counts: str
    cost: float


def audited(judged: Mapping[tuple[str, str], Judged], rows: Sequence[Row]) -> list[Audited]:
    """The models of a run that were audited, in the order of the suite."""
    return [
        Audited(
            evaluation, model, found.verdict, found.reason, _lines(found), _counts(found),
            _cost(found, [row for row in rows if (row.evaluation, row.model) == (evaluation, model)]),
        )
        for (evaluation, model), found in judged.items()
    ]  # fmt: skip


def _lines(found: Judged) -> tuple[Line, ...]:
    trials = {told.trial for told in found.told if told.trial is not None}
    lines = [
        Line(
            told.check
            + (f" {told.attack}" if told.attack else "")
            + (f", trial {told.trial}" if len(trials) > 1 and told.trial is not None else ""),
            told.finding,
        )
        for told in found.told
    ]
    return tuple(sorted(lines, key=lambda line: -LEVELS.index(line.finding["level"])))


def _counts(found: Judged) -> str:
    levels = [told.finding["level"] for told in found.told]
    words = {"fail": "failed", "warn": "warned", "pass": "passed"}
    return ", ".join(f"{levels.count(level)} {word}" for level, word in words.items() if level in levels)


def _cost(found: Judged, rows: Sequence[Row]) -> float:
    """The share of the attacks' passes, counted as forward passes plus two a backward pass."""
    metrics = [row.metric for row in rows if row.attack == names.WORST_CASE]
    total = sum(
        (row.forwards + 2 * row.backwards) * row.n * row.trials
        for row in rows
        if row.attack not in (names.CLEAN, names.WORST_CASE, names.RESCUE) and row.metric in metrics[:1]
    )
    return found.passes / total if total and math.isfinite(total) else math.nan
