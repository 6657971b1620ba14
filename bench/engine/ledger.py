"""What is already known of the jobs of a plan: their keys, and their results in the store or the zoo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.engine.keys import digest
from bench.engine.state import JobState
from bench.engine.store import Record, Store, read_record
from bench.models import zoo
from bench.suite.jobs import Job, resolve


class Ledger:
    """Looks jobs up and remembers how they ended.

    Args:
        store: Where results are.
        nonce: Joins the keys of jobs that cannot be cached, so that nobody else finds their results.
        recompute: Ignore stored outcomes.
        retrain: Ignore stored weights and the zoo.
    """

    def __init__(self, store: Store, *, nonce: str, recompute: bool = False, retrain: bool = False) -> None:
        self.store = store
        self.states: dict[str, JobState] = {}
        self._nonce, self._recompute, self._retrain = nonce, recompute, retrain

    def key(self, job: Job) -> str:
        """The content address of a job whose inputs are known: a hash of everything its result depends on."""
        contents = {other: self.states[other].content for other in job.awaited}
        identity = {"kind": job.kind, "identity": resolve(job.identity, contents)}
        if job.uncached:
            identity["only in"] = self._nonce
        # through JSON, so that a tuple and a list, or 1 and 1.0 as written by JSON, cannot tell keys apart
        return digest(json.loads(json.dumps(identity)))

    def find(self, job: Job) -> JobState | None:
        """How a job ended in an earlier run, if it did and may be believed."""
        key = self.key(job)
        if job.uncached:
            return None
        if job.kind == "train":
            if self._retrain:
                return None
            shipped = zoo.find(key)
            if shipped is not None:
                path, content = shipped
                return JobState("ok", key, path, content, **_costs(read_record(path)), origin="zoo")
        elif self._recompute:
            return None
        found = self.store.find(job.kind, key)
        if found is None:
            return None
        path, record = found
        return JobState("ok", key, path, record.content, **_costs(record), origin="store")

    def blocker(self, job: Job) -> str | None:
        """The first of a job's needs that did not end ok."""
        return next((need for need in job.needs if self.states[need].status != "ok"), None)

    def output(self, job: Job) -> Path:
        """Where a job's record goes."""
        return self.store.path(job.kind, self.key(job))


def _costs(record: Record) -> dict[str, Any]:
    """Time, memory and machine of a job, as its record tells them."""
    facts: Mapping[str, Any] = record.meta
    return {
        "seconds": round(float(facts.get("seconds", 0.0)), 3),
        "peak": int(facts.get("peak", 0)),
        "machine": facts.get("machine", {}),
    }
