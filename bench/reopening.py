"""A run that has ended, opened again: what `bench report` does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.samples import DataInfo
from bench.engine.import_path import search_here
from bench.engine.ledger import Ledger
from bench.engine.lock import locked
from bench.engine.state import JobState
from bench.engine.store import Store
from bench.errors import UsageError
from bench.manifest.entries import Manifests
from bench.models import zoo
from bench.planning import Earlier, current_plan, wanted_rows
from bench.results.expectations import examine
from bench.results.rows import make_rows
from bench.runner import SCHEMA, Run, write_outputs
from bench.suite.check import check


def report(folder: Path, store: Path | None = None) -> Run:
    """Write a run's CSV files and page again, from the run folder and the store.

    Raises:
        UsageError: No run there, or one whose suite or store can no longer be read.
    """
    record = _read(folder)
    suite = check(record["text"], record["file"], record["overrides"])
    where = Store(store or folder / record["store"])
    search_here()
    with locked(folder):
        # the data may be gone or changed since; the figures are of what it was
        data = {name: DataInfo(**facts) for name, facts in record["data"].items()}
        earlier = Earlier(data, record["unavailable"])
        made = current_plan(suite, Ledger(where), record["device"], earlier).plan
        states = {name: _stored(where, name, job) for name, job in record["jobs"].items() if job["status"] != "not-run"}
        ended = [
            name for name, job in record["jobs"].items() if job["status"] == "ok" and not name.startswith("train/")
        ]
        if ended and not any(states[name].status == "ok" for name in ended):
            raise UsageError(
                f"{where.root} has no record of this run: name the store it was run with by --store, or run the suite "
                f"again; nothing was written"
            )
        table = make_rows(suite, made, states, wanted_rows(suite, record.get("only")))
        result = Run(folder, suite, tuple(table.rows), tuple(examine(suite, table.rows)), states, record["exit_code"])
        write_outputs(result, made, table, record)
        return result


def _read(folder: Path) -> Mapping[str, Any]:
    """The content of run.json, of a run that has ended."""
    try:
        record = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        raise UsageError(f"{folder} holds no run: expected a readable run.json in it") from None
    if not isinstance(record, Mapping) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, Mapping) else None
        raise UsageError(f"{folder}/run.json has schema {found}; this version reads {SCHEMA}")
    if "jobs" not in record:
        raise UsageError(f"the run in {folder} has not ended; run the same command again to finish it")
    missing = {"text", "file", "overrides", "store", "data", "unavailable", "device", "exit_code", "threads"} - set(
        record
    )
    if missing:
        raise UsageError(f"{folder}/run.json lacks {', '.join(sorted(missing))}; run the suite again to write it anew")
    return record


def _stored(store: Store, name: str, job: Mapping[str, Any]) -> JobState:
    """A job's end as run.json tells it; not run when its record is gone."""
    facts = {key: job.get(key, "") for key in ("key", "content", "message", "cause", "origin", "manifest")}
    state = JobState(status=job["status"], seconds=job.get("seconds", 0.0), peak=job.get("peak", 0), **facts)
    if state.status != "ok":
        return state
    kind = name.partition("/")[0]
    shipped = zoo.find(state.key) if kind == "train" and state.origin == "zoo" else None
    found = store.find(kind, state.key, state.manifest) if shipped is None else None
    if found is not None and found[1].content != state.content:
        found = None  # another run has put another result there
    if shipped is None and found is None:
        message = f"its record is no longer in {store.root}; run the suite again"
        return JobState("not-run", state.key, message=message)
    if found is None:
        return dataclasses.replace(state, path=shipped[0] if shipped else None)
    path, record = found
    manifests = store.manifests(state.manifest) or Manifests()
    return dataclasses.replace(
        state,
        path=path,
        machine=record.meta.get("machine", {}),
        made_of=manifests.by_component,
        untracked=manifests.untracked(),
    )
