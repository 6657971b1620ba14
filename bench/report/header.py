"""The head of the page: what was run, where and when, and what a reader must know before any figure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report import text
from bench.results.expectations import Finding
from bench.results.row import Row
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Trouble:
    """Rows without a figure for one reason."""

    status: str
    message: str
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """What stands above the figures.

    Attributes:
        facts: Names and values: when, where, on what.
        notices: Sentences on why the run is not whole; empty when it is.
        troubles: Rows without a figure, by reason; rows that were not asked for are left out.
        ok: Rows with a figure.
        rows: All rows.
        met: Expectations that were met.
        findings: All expectations, missed ones first.
    """

    facts: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    ok: int
    rows: int
    met: int
    findings: tuple[Finding, ...]


def header(suite: Suite, rows: Sequence[Row], findings: Sequence[Finding], record: Mapping[str, Any]) -> Header:
    """The head of a run's page."""
    only = record.get("only")
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.status != "ok" and not (only and row.status == "not-run"):
            reasons.setdefault((row.status, row.message), []).append(row.row)
    order = {"missed": 0, "unknown": 1, "met": 2}
    return Header(
        facts=tuple((name, value) for name, value in _facts(suite, record) if value),
        notices=tuple(_notices(rows, findings, record)),
        troubles=tuple(Trouble(status, message, tuple(ids)) for (status, message), ids in reasons.items()),
        ok=sum(not math.isnan(row.value) for row in rows),
        rows=len(rows),
        met=sum(finding.verdict == "met" for finding in findings),
        findings=tuple(sorted(findings, key=lambda finding: order[finding.verdict])),
    )


def _notices(rows: Sequence[Row], findings: Sequence[Finding], record: Mapping[str, Any]) -> list[str]:
    notices = []
    only = record.get("only")
    if record.get("state") == "interrupted":
        notices.append("The run was interrupted. The same command again goes on where it stopped.")
    if only:
        notices.append(f"Only rows that match “{only}” were run; the others have no figure.")
    failed = sum(row.status not in ("ok", "not-run") for row in rows)
    if failed:
        notices.append(f"{failed:,} of {len(rows):,} rows have no figure because something went wrong.")
    lacking = sum(row.status == "not-run" for row in rows)
    if lacking and not only:
        notices.append(f"{lacking:,} of {len(rows):,} rows were not run.")
    missed = sum(finding.verdict == "missed" for finding in findings)
    if missed:
        notices.append(f"{missed:,} of {len(findings):,} expected figures were missed.")
    return notices


def _facts(suite: Suite, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    started, ended = record.get("started"), record.get("ended")
    took = f", took {text.duration(ended - started)}" if started is not None and ended is not None else ""
    git, packages, machine = (record.get(key) or {} for key in ("git", "packages", "machine"))
    device = ", ".join(filter(None, [record.get("device", ""), *record.get("device_names", [])]))
    if not record.get("device_names"):
        device = ", ".join(filter(None, [device, machine.get("processor", "")]))
    commit = git.get("commit", "")[:12] + (" with uncommitted changes" if git.get("dirty") else "")
    versions = ", ".join(f"{name} {packages[name]}" for name in ("bench", "torch", "numpy") if packages.get(name))
    return [
        ("run", text.moment(started) + took),
        ("device", device),
        ("commit", commit if git else "not in a git repository"),
        ("versions", ", ".join(filter(None, [versions, f"Python {machine['python']}" if "python" in machine else ""]))),
        ("seed", str(suite.seed)),
        ("suite file", suite.file),
        ("changed by --set", ", ".join(suite.overrides)),
    ]


def provenance(record: Mapping[str, Any]) -> str:
    """run.json as text, with the jobs counted instead of listed and without the suite's own text."""
    jobs = record.get("jobs", {})
    counts = Counter(f"{name.partition('/')[0]} {job.get('status')}" for name, job in jobs.items())
    shown = {key: value for key, value in record.items() if key not in ("jobs", "text")}
    return json.dumps({**shown, "jobs": dict(counts)}, indent=1, ensure_ascii=False)
