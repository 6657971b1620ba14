"""From a run's rows to the snapshot that later runs are compared with."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bench.engine.keys import digest
from bench.engine.state import JobState
from bench.results.row import Row
from bench.results.rows import Table
from bench.results.snapshot import Gated, Recorded, Snapshot, pack, pack_ids
from bench.suite.jobs import Cell, Plan, resolve
from bench.suite.names import REAL_DATA, WORST_CASE
from bench.suite.schema import Generation, Robustness, Transfer
from bench.suite.spec import Suite

_SHARED = (
    "status", "message", "value", "low", "high", "direction", "n", "trials", "forwards", "backwards", "memory",
    "row_verdict", "model_verdict",
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
    models = _models(plan, states)
    rows: dict[str, Recorded] = {}
    for row in table.rows:
        facts = {name: getattr(row, name) for name in _SHARED}
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
            model=models.get((row.evaluation, row.model), ""),
            data=fingerprint,
            ours=_ours(suite, row),
            samples=key,
            values=() if figures is None else tuple(pack(values) for values in figures.trials),
        )
    versions, machine = record["packages"], record["machine"]
    facts = {"processor": machine["processor"], "torch": versions["torch"], "threads": record["threads"]}
    facts |= {"names": record["device_names"]} if record["device_names"] else {}
    origin = {key: record.get(key) for key in ("git", "seed", "overrides", "only", "ended")}
    return Snapshot(
        suite.name, record["device"], facts, suite.gate.level, suite.gate.passes, suite.gate.memory,
        gated_rows(suite, table.rows), rows, samples, origin,
    )  # fmt: skip


def gated_rows(suite: Suite, rows: Sequence[Row]) -> dict[str, Gated]:
    """The rows that a gate compares, and how; of several entries that match a row the first counts."""
    gated: dict[str, Gated] = {}
    for row in rows:
        for entry in suite.gate.rows:
            if fnmatch.fnmatchcase(row.row, entry.match):
                gated[row.row] = Gated(entry.tolerance, entry.compare)
                break
        else:
            if not suite.gate.rows and row.attack == WORST_CASE and row.metric == "robust_accuracy":
                gated[row.row] = Gated()
    return gated


def threads() -> int:
    """How many threads torch works with on a CPU, unless it is told otherwise in code."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) > 0 else os.cpu_count() or 1


def _models(plan: Plan, states: Mapping[str, JobState]) -> dict[tuple[str, str], str]:
    """What names each model of an evaluation: its architecture or code, and its weights."""
    named: dict[tuple[str, str], list[str]] = {}
    for cell in plan.cells:
        if cell.model != REAL_DATA and (cell.evaluation, cell.model) not in named:
            named[cell.evaluation, cell.model] = [
                _model(plan, states, cell, trial) for trial in range(len(cell.trials))
            ]
    return {key: digest(names)[:16] for key, names in named.items() if all(names)}


def _model(plan: Plan, states: Mapping[str, JobState], cell: Cell, trial: int) -> str:
    """Names the model of one trial; empty where that is not known."""
    waiting = list(cell.trials[trial])
    while waiting:
        job = plan.jobs[waiting.pop(0)]
        identity = job.identity.get("model")
        if identity is None or job.kind == "train":
            waiting += [need for need in job.needs if not need.startswith("data/")]
            continue
        if any(need not in states for need in job.needs):
            return ""
        return digest(resolve(identity, {need: states[need].content for need in job.needs}))
    return ""


def _ours(suite: Suite, row: Row) -> bool:
    """Whether all code behind a row is of this package."""
    block = suite.evaluations[row.evaluation]
    listed = [*block.surrogates, *block.victims] if isinstance(block, Transfer) else list(block.models)
    blocks = [spec.block for name in listed if (spec := suite.models.get(name))]
    code = [block.load or any(use.imported for use in block.defenses) for block in blocks]
    uses = [] if isinstance(block, Generation) else [use.imported for use in block.attacks]
    if isinstance(block, Robustness | Transfer | Generation):
        uses += [use.imported for use in block.metrics]
    return not any(code) and not any(uses)
