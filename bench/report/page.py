"""One offline page for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.engine.state import JobState
from bench.engine.store import write_whole
from bench.results.expectations import Finding
from bench.results.row import Row
from bench.suite.jobs import Plan
from bench.suite.spec import Suite


def write_page(
    path: Path,
    suite: Suite,
    plan: Plan,
    states: Mapping[str, JobState],
    rows: Sequence[Row],
    findings: Sequence[Finding],
    record: Mapping[str, Any],
) -> None:
    """Write `report.html`.

    Args:
        path: Where to.
        suite: What was run.
        plan: Its jobs and cells.
        states: How each job ended, with the paths of their records.
        rows: The leaderboard.
        findings: What came of each expectation.
        record: The content of run.json.
    """
    write_whole(path, b"<!doctype html>")
