"""A run that has ended, opened again: what `bench report` does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.engine.keys import search_here
from bench.engine.ledger import Ledger
from bench.engine.lock import locked
from bench.engine.state import JobState
from bench.engine.store import Store
from bench.errors import UsageError
from bench.models import zoo
from bench.planning import current_plan
from bench.results.expectations import examine
from bench.results.rows import make_rows
from bench.runner import SCHEMA, Run, write_outputs
from bench.suite.check import check


def report(folder: Path, store: Path | None = None) -> Run:
    """Write a run's CSV files and page again, from the run folder and the store.

    Raises:
        UsageError: No run there, or one whose suite or store can no longer be read.
    """
    try:
        record = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        raise UsageError(f"{folder} holds no run: expected a readable run.json in it") from None
    if record.get("schema") != SCHEMA:
        raise UsageError(f"{folder}/run.json has schema {record.get('schema')}; this version reads {SCHEMA}")
    if "jobs" not in record:
        raise UsageError(f"the run in {folder} has not ended; run the same command again to finish it")
    suite = check(record["text"], record["file"], record["overrides"])
    where = Store(store or Path(record["store"]))
    search_here()
    with locked(folder):
        ledger = Ledger(where, nonce="report")
        for name, job in record["jobs"].items():
            if name.startswith("data/") and (state := _stored(where, name, job)).status != "not-run":
                ledger.states[name] = state
        made = current_plan(suite, ledger, record["device"])
        states = {name: _stored(where, name, job) for name, job in record["jobs"].items() if job["status"] != "not-run"}
        rows = make_rows(suite, made, states)
        result = Run(folder, suite, tuple(rows), tuple(examine(suite, rows)), states, record["exit_code"])
        write_outputs(result, made, record)
        return result


def _stored(store: Store, name: str, job: Mapping[str, Any]) -> JobState:
    """A job's end as run.json tells it; not run when its record is gone."""
    facts = {key: job.get(key, "") for key in ("key", "content", "message", "cause", "origin")}
    state = JobState(status=job["status"], seconds=job.get("seconds", 0.0), **facts)
    if state.status != "ok":
        return state
    kind = name.partition("/")[0]
    shipped = zoo.find(state.key) if kind == "train" and state.origin == "zoo" else None
    found = store.find(kind, state.key) if shipped is None else None
    if shipped is None and found is None:
        message = f"its record is no longer in {store.root}; run the suite again"
        return JobState("not-run", state.key, message=message)
    return dataclasses.replace(state, path=shipped[0] if shipped else found[0] if found else None)
