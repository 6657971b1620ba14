"""The end of a run, in words for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.engine.ledger import REMEDY
from bench.results.row import ADEQUATE, RANK, UNAUDITED, Row
from bench.results.rows import NOT_ASKED
from bench.runner import Run
from bench.suite.names import WORST_CASE


def summary(run: Run, only: str | None) -> str:
    """What was found, what went wrong, what was expected, and where the files are."""
    lines = _ranking(run.rows)
    troubled: dict[tuple[str, str], list[str]] = {}
    for row in run.rows:
        if row.status != "ok" and not (only and row.status == "not-run"):
            troubled.setdefault((row.status, row.message), []).append(row.row)
    for (status, message), rows in troubled.items():
        which = rows[0] if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} more"
        lines.append(f"{status}: {which}: {message}")
    doubts = dict.fromkeys(
        f"{component} {phrase}" for state in run.states.values()
        for component, phrases in state.untracked.items() for phrase in phrases
    )  # fmt: skip
    for doubt in doubts:
        lines.append(f"cannot be tracked: {doubt}; its results are made anew in every run: {REMEDY}")
    told = " ".join(message for _, message in troubled)
    for job, state in run.states.items():
        if state.status not in ("ok", "skipped", "not-run") and state.message not in told:
            lines.append(f"{state.status}: {job}: {state.message}")
    left_out = {row.row for row in run.rows if row.message == NOT_ASKED}
    known = [finding for finding in run.findings if finding.row not in left_out]
    for finding in known:
        if finding.verdict != "met":
            lines.append(f"expected {finding.row} {finding.wanted}; found {finding.found}")
    if known:
        lines.append(f"{sum(finding.verdict == 'met' for finding in known)} of {len(known)} expected figures were met")
    if only:
        lines.append(f"only rows that match '{only}' were run")
    if run.interrupted:
        lines.append("interrupted; run the same command again to go on, nothing finished is lost")
    lines.append(f"report: {run.folder / 'report.html'}")
    return "\n".join(lines)


def _ranking(rows: Sequence[Row]) -> list[str]:
    """The worst-case rows, which rank the models of each robustness evaluation."""
    ranked = [
        row for row in rows if row.attack == WORST_CASE and row.metric == "robust_accuracy" and row.status == "ok"
    ]
    ranked.sort(key=lambda row: (row.evaluation, row.threat, RANK[row.model_verdict], -row.value))
    lines = []
    heading = None
    for row in ranked:
        if heading != (row.evaluation, row.threat):
            heading = (row.evaluation, row.threat)
            lines.append(f"{row.evaluation}, {row.threat}: worst-case robust accuracy")
        interval = "" if math.isnan(row.low) else f"  [{row.low:.1%}, {row.high:.1%}]"
        lines.append(f"  {row.model:20} {row.value:6.1%}{interval}  n={row.n}  {row.model_verdict}{_weak(row)}")
    return lines


def _weak(row: Row) -> str:
    """What the verdict of a row adds to that of its model."""
    if row.row_verdict in (ADEQUATE, UNAUDITED, ""):
        return ""
    return f", attacks {row.row_verdict}" + ("" if math.isnan(row.at_most) else f": at most {row.at_most:.1%}")
