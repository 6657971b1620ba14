"""From a run's rows to the snapshot that later runs are compared with."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from bench.engine.environment import MACHINE
from bench.engine.state import JobState
from bench.hashing import digest
from bench.results.provenance import Made, made_by
from bench.results.row import Row
from bench.results.rows import Table
from bench.results.snapshot import SEVERAL, UNKNOWN, Gated, Recorded, Snapshot, pack, pack_ids
from bench.suite.jobs import Plan
from bench.suite.names import WORST_CASE, all_rows, evaluated
from bench.suite.schema import GatedRows, Generation, Robustness, Transfer
from bench.suite.spec import Suite

_SHARED = (
    "status", "message", "value", "low", "high", "direction", "n", "trials", "forwards", "backwards", "memory",
    "row_verdict", "model_verdict", "epsilon",
)  # fmt: skip


def take(suite: Suite, plan: Plan, states: Mapping[str, JobState], table: Table, record: Mapping[str, Any]) -> Snapshot:
    """The snapshot of a run.

    Args:
        suite: What was run.
        plan: Its jobs and cells.
        states: How the jobs ended.
        table: Its rows and what they are computed from.
        record: The content of run.json.
    """
    samples: dict[str, str] = {}
    made = made_by(suite, plan, states)
    rows: dict[str, Recorded] = {}
    known = set(all_rows(suite))
    for row in (row for row in table.rows if row.row in known):  # the others are quoted alone
        facts = {name: getattr(row, name) for name in _SHARED} | {"direction": _direction(suite, row)}
        figures = table.figures.get(row.row)
        data = suite.evaluations[row.evaluation].data
        fingerprint = str(record["data"].get(data, {}).get("fingerprint", ""))
        key = ""
        if figures is not None and figures.ids:
            packed = pack_ids(figures.ids)
            key = digest(packed)[:12]
            samples[key] = packed
        rows[row.row] = Recorded(
            **facts,
            data=fingerprint,
            **made.get(row.row, Made("", "", ""))._asdict(),
            ours=_ours(suite, row),
            samples=key,
            values=() if figures is None else tuple(pack(values) for values in figures.trials),
        )
    facts = _machines(states) | ({"names": record["device_names"]} if record["device_names"] else {})
    origin = {key: record.get(key) for key in ("git", "seed", "overrides", "only", "ended", "trust")}
    return Snapshot(
        suite.name, record["device"], facts, suite.gate.level, suite.gate.passes, suite.gate.memory,
        gated_rows(suite, rows), rows, samples, origin,
    )  # fmt: skip


def gated_rows(suite: Suite, rows: Iterable[str]) -> dict[str, Gated]:
    """The rows that a gate compares, and how; of several entries that match a row the first counts."""
    listed = suite.gate.rows or [GatedRows(match=f"*/*/{WORST_CASE}/*/robust_accuracy")]
    found = {row: [entry for entry in listed if fnmatch.fnmatchcase(row, entry.match)] for row in rows}
    return {row: Gated(entries[0].tolerance, entries[0].compare) for row, entries in found.items() if entries}


def _direction(suite: Suite, row: Row) -> str:
    """Which direction of a row is better: its metric's, or what the suite's gate says of a user's metric."""
    entry = next((entry for entry in suite.gate.rows if fnmatch.fnmatchcase(row.row, entry.match)), None)
    return entry.better if row.direction == "neither" and entry is not None and entry.better else row.direction


def _machines(states: Mapping[str, JobState]) -> dict[str, str]:
    """Where the jobs of a run were done, be it in this run or an earlier one; trainings do not count."""
    done = [state.machine for job, state in states.items() if state.status == "ok" and not job.startswith("train/")]
    return {key: SEVERAL.join(sorted({machine.get(key, UNKNOWN) for machine in done})) for key in MACHINE}


def _ours(suite: Suite, row: Row) -> bool:
    """Whether all code behind a row is of this package; a user's metric is behind its own rows alone."""
    block = suite.evaluations[row.evaluation]
    blocks = [spec.block for name in evaluated(block) if (spec := suite.models.get(name))]
    code = [
        block.load or any(use.imported for use in (*filter(None, [block.arch]), *block.defenses)) for block in blocks
    ]
    uses = [] if isinstance(block, Generation) else [use.imported for use in block.attacks]
    if isinstance(block, Robustness | Transfer | Generation):
        uses += [use.imported and use.label == row.metric for use in block.metrics]
    return not any(code) and not any(uses)
