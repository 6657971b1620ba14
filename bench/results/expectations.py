"""Whether a run reached the figures its suite expects, and the exit code that follows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.results.row import UNAUDITED, Row
from bench.suite.schema import Expectation
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Finding:
    """One expectation and what came of it.

    Attributes:
        row: Id of the row.
        wanted: What was expected, in words.
        verdict: ``met``, ``missed``, or ``unknown`` when the row has no figure.
        found: What was found, in words.
    """

    row: str
    wanted: str
    verdict: Literal["met", "missed", "unknown"]
    found: str


def examine(suite: Suite, rows: Sequence[Row]) -> list[Finding]:
    """Compare each expectation with its row."""
    by_id = {row.row: row for row in rows}
    findings = []
    for expected in suite.expect:
        row = by_id[expected.row]
        if row.status != "ok":
            findings.append(Finding(row.row, _wanted(expected), "unknown", f"{row.status}: {row.message}"))
            continue
        findings.append(Finding(row.row, _wanted(expected), _verdict(expected, row), _found(expected, row)))
    return findings


def _verdict(expected: Expectation, row: Row) -> Literal["met", "missed", "unknown"]:
    """Whether a row is as expected; unknown where only an audit could say, and there was none."""
    if expected.of_figure and not _met(expected, row.value):
        return "missed"
    pairs = ((expected.model_verdict, row.model_verdict), (expected.row_verdict, row.row_verdict))
    asked = [(allowed, verdict) for allowed, verdict in pairs if allowed]
    if any(verdict not in (*allowed, UNAUDITED) for allowed, verdict in asked):
        return "missed"
    return "unknown" if any(verdict == UNAUDITED for _, verdict in asked) else "met"


def _found(expected: Expectation, row: Row) -> str:
    """What a row has of what is expected of it."""
    figure = f"no figure: {row.message}" if math.isnan(row.value) else f"{row.value:.6g}"
    parts = [figure] if expected.of_figure else []
    parts += [f"model {row.model_verdict}"] if expected.model_verdict else []
    parts += [f"row {row.row_verdict}"] if expected.row_verdict else []
    return ", ".join(parts)


def _met(expected: Expectation, value: float) -> bool:
    if expected.min is not None and not value >= expected.min:
        return False
    if expected.max is not None and not value <= expected.max:
        return False
    return expected.equals is None or abs(value - expected.equals) <= expected.tolerance


def _wanted(expected: Expectation) -> str:
    parts = [] if expected.min is None else [f"at least {expected.min:g}"]
    parts += [] if expected.max is None else [f"at most {expected.max:g}"]
    if expected.equals is not None:
        parts.append(f"{expected.equals:g} within {expected.tolerance:g}")
    parts += [f"model {' or '.join(expected.model_verdict)}"] if expected.model_verdict else []
    parts += [f"row {' or '.join(expected.row_verdict)}"] if expected.row_verdict else []
    return " and ".join(parts)


def exit_code(rows: Sequence[Row], findings: Sequence[Finding], wanted: Collection[str]) -> int:
    """0 when all is well, 1 when an expectation was missed, 3 when a wanted row has no figure.

    Args:
        rows: All rows.
        findings: All expectations.
        wanted: Ids of the rows that this run was to fill.
    """
    if any(row.row in wanted and row.status != "ok" for row in rows):
        return 3
    if any(finding.row in wanted and finding.verdict == "missed" for finding in findings):
        return 1
    if any(finding.row in wanted and finding.verdict == "unknown" for finding in findings):
        return 3
    return 0
