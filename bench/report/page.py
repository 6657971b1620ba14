"""One offline page for a run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.engine.state import JobState
from bench.engine.store import write_whole
from bench.report import board, text
from bench.report.audited import audited
from bench.report.curves import curves
from bench.report.distances import standings
from bench.report.gallery import gallery
from bench.report.generated import panels
from bench.report.header import header, provenance
from bench.report.quotes import quoted
from bench.report.ranking import rankings
from bench.report.records import Records
from bench.report.redirected import sheets
from bench.report.transfer import grids
from bench.results.expectations import Finding
from bench.results.row import Row
from bench.results.verdicts import Judged
from bench.suite.jobs import Plan
from bench.suite.schema import Robustness
from bench.suite.spec import Suite

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    path: Path,
    suite: Suite,
    plan: Plan,
    states: Mapping[str, JobState],
    rows: Sequence[Row],
    findings: Sequence[Finding],
    record: Mapping[str, Any],
    judged: Mapping[tuple[str, str], Judged] = MappingProxyType({}),
) -> None:
    """Write `report.html`: one file that loads nothing, from disk or network.

    Args:
        path: Where to.
        suite: What was run.
        plan: Its jobs and cells.
        states: How each job ended, with the paths of their records.
        rows: The leaderboard.
        findings: What came of each expectation.
        record: The content of run.json.
        judged: What the audits say, by evaluation and model.

    Raises:
        BenchError: The disk is full or the folder cannot be written.
    """
    records = Records(suite, plan, states)
    script = (_TEMPLATES / "page.js").read_text()
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            suite=suite,
            header=header(suite, rows, findings, record),
            targeted=any(
                isinstance(block, Robustness) and block.threat.target != "none" for block in suite.evaluations.values()
            ),
            rankings=rankings(suite, rows),
            curves=curves(suite, rows),
            quotes=quoted(rows),
            board=board.table(rows),
            meanings=board.meanings(suite),
            statuses=board.STATUSES,
            grids=grids(suite, rows),
            gallery=gallery(records),
            sheets=sheets(records),
            panels=panels(records),
            standings=standings(rows),
            audited=audited(judged, rows),
            provenance=provenance(record),
            style=(_TEMPLATES / "page.css").read_text(),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    write_whole(path, html.encode())


def _environment() -> Environment:
    """Templates that escape what they are given and refuse names they do not know."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False, "ensure_ascii": False}
    for function in (text.figure, text.share, text.between, text.shares_between):
        environment.filters[function.__name__] = function
        environment.globals[function.__name__] = function
    return environment
