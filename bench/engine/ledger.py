"""What is already known of the jobs of a plan: their keys, and their results in the store or the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.engine.state import JobState
from bench.engine.store import Record, Store, read_record
from bench.hashing import digest
from bench.manifest.digests import Digests
from bench.manifest.entries import Manifests
from bench.manifest.holding import Holding
from bench.manifest.roots import Roots
from bench.models import zoo
from bench.suite.jobs import VERSIONS, Job, resolve

FORMAT = 1
"""Version of identities; part of every key."""


class Ledger:
    """Looks jobs up and remembers how they ended.

    A result is named by its key, and believed by its list: a key may have several results, and the newest whose list of
    what making it used still holds is the one that counts.

    Args:
        store: Where results are.
        holding: Compares lists with what is here now.
        recompute: Ignore stored outcomes.
        retrain: Ignore stored weights and the zoo.
        trust: Believe results whose list cannot hold all that making them used.
    """

    def __init__(
        self,
        store: Store,
        *,
        holding: Holding | None = None,
        recompute: bool = False,
        retrain: bool = False,
        trust: bool = False,
    ) -> None:
        self.store = store
        self.states: dict[str, JobState] = {}
        self.refusals: dict[str, str] = {}
        self.earlier: dict[str, Path] = {}
        self.holding = holding or Holding(Roots.here(), Digests())
        self._recompute, self._retrain, self._trust = recompute, retrain, trust

    def key(self, job: Job) -> str:
        """The content address of a job whose inputs are known: a hash of all that the suite names of it."""
        contents = {other: self.states[other].content for other in job.awaited}
        identity = {
            "format": FORMAT,
            "kind": job.kind,
            "version": VERSIONS[job.kind],
            "identity": resolve(job.identity, contents),
        }
        return digest(identity)

    def find(self, job: Job) -> JobState | None:
        """How a job ended in an earlier run, if it did and may be believed; else `refusals` may say why not."""
        key = self.key(job)
        if job.kind == "train":
            if self._retrain:
                return None
            shipped = zoo.find(key)
            if shipped is not None:
                path, content = shipped
                return JobState("ok", key, path, content, **_costs(read_record(path)), origin="zoo")
        elif self._recompute:
            return None
        for name in self.store.variants(job.kind, key):
            manifests = self.store.manifests(name)
            if manifests is None or not self._believed(job, manifests, key):
                continue
            found = self.store.find(job.kind, key, name)
            if found is not None:
                path, record = found
                return JobState(
                    "ok", key, path, record.content, **_costs(record), origin="store", **_made_of(name, manifests)
                )
        return None

    def _believed(self, job: Job, manifests: Manifests, key: str) -> bool:
        """Whether the list of a result holds; if not, why is noted."""
        change = self.holding.change(manifests)
        if change:
            self.refusals.setdefault(job.id, change)
            return False
        untracked = self._doubts(job, manifests)
        if not untracked or self._trust:
            return True
        component, phrases = next(iter(untracked.items()))
        if job.kind == "build":
            self.earlier.setdefault(job.id, self.store.path(job.kind, key, manifests.id))
            self.refusals.setdefault(job.id, f"{component} {' and '.join(phrases)}: it is built again and compared")
        else:
            self.refusals.setdefault(job.id, f"{component} {' and '.join(phrases)}; {REMEDY}")
        return False

    def _doubts(self, job: Job, manifests: Manifests) -> dict[str, Sequence[str]]:
        """What keeps a result from being reused: all that no list can hold, but for what a model's building did.

        A model that cannot be tracked is built again in every run and compared with what it was. What it does only when
        it is called later, nobody compares.
        """
        built = [self.states[other] for other in job.awaited if other.startswith("build/")]
        compared = {(name, phrase) for state in built for name, each in state.untracked.items() for phrase in each}
        doubts = {
            name: [phrase for phrase in phrases if (name, phrase) not in compared]
            for name, phrases in manifests.untracked().items()
        }
        return {name: phrases for name, phrases in doubts.items() if phrases}

    def blocker(self, job: Job) -> str | None:
        """The first of a job's needs that did not end ok."""
        return next((need for need in job.needs if self.states[need].status != "ok"), None)

    def output(self, job: Job) -> Path:
        """Where the record of a job without a list goes; one with a list goes beside it."""
        return self.store.path(job.kind, self.key(job))

    def done(self, job: Job, key: str, content: str, manifest: str) -> dict[str, Any]:
        """The facts of a state for a job that was done just now."""
        manifests = self.store.manifests(manifest) or Manifests()
        return {
            "key": key, "path": self.store.path(job.kind, key, manifest), "content": content,
            **_made_of(manifest, manifests),
        }  # fmt: skip


REMEDY = "say what it uses with `uses:`, or accept what is stored with --trust"
"""What to do about a component that cannot be tracked."""


def _made_of(name: str, manifests: Manifests) -> dict[str, Any]:
    if not name:
        return {}
    return {"manifest": name, "made_of": manifests.by_component, "untracked": manifests.untracked()}


def _costs(record: Record) -> dict[str, Any]:
    """Time, memory and machine of a job, as its record tells them."""
    facts: Mapping[str, Any] = record.meta
    return {
        "seconds": round(float(facts.get("seconds", 0.0)), 3),
        "peak": int(facts.get("peak", 0)),
        "machine": facts.get("machine", {}),
    }
