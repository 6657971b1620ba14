"""Make the zoo: train what the models of some suites miss, and put the weights into the package.

    python -m bench.zoo_builder suites/*.yaml
    python -m bench.zoo_builder --rekey suites/*.yaml   # after a change of the form of keys: nothing is trained

Weights that are in the zoo already stay; those that no given suite names any more are removed. Run `make zoo`. Suites
whose protocols take a GPU are left out.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.engine.ledger import Ledger
from bench.engine.progress import listener_for
from bench.engine.state import JobState
from bench.engine.store import Store, pack, read_record, write_whole
from bench.errors import BenchError
from bench.hashing import digest
from bench.models import zoo
from bench.planning import current_plan
from bench.runner import run
from bench.suite.check import read
from bench.suite.jobs import resolve

REKEY = "--rekey"
FOR_A_GPU = frozenset({"pacgan_grid", "stacked_mnist"})
"""Suites whose models are not all in the zoo: their papers' full protocols."""

TRAINED_LIVE = {"mode_collapse": "ring-"}
"""How the names begin of a suite's models that each run trains anew, in a minute or so."""


def rekey(suites: Sequence[str], *, folder: Path = zoo.FOLDER) -> int:
    """Put the weights under the keys of this version, where only the form of keys has changed: nothing is trained.

    Args:
        suites: Suite files.
        folder: Where the zoo is.

    Returns:
        How many weights have another key now.
    """
    index: dict[str, dict[str, str | int]] = json.loads((folder / "index.json").read_text())
    moved = 0
    for file in suites:
        suite = read(file)
        ledger = Ledger(Store(folder / "none"))
        plan = current_plan(suite, ledger, "cpu").plan
        for job in plan.jobs.values():
            if job.kind != "train":
                continue
            if any(other not in ledger.states for other in job.awaited):
                continue
            contents = {other: ledger.states[other].content for other in job.awaited}
            before = digest({"kind": "train", "identity": resolve(job.identity, contents)})
            key = ledger.key(job)
            if before in index:
                index[key] = index.pop(before)
                moved += 1
            if key in index:
                ledger.states[job.id] = JobState("ok", key, content=str(index[key]["content"]))
    write_whole(folder / "index.json", (json.dumps(index, indent=1, sort_keys=True) + "\n").encode())
    return moved


def build(suites: Sequence[str], *, store: Path | None = None, folder: Path = zoo.FOLDER) -> dict[str, str]:
    """Train the models of suites and write their weights and the index.

    Args:
        suites: Suite files.
        store: Folder of finished jobs, which training is taken from where it is there.
        folder: Where the zoo is.

    Returns:
        File names by recipe key.

    Raises:
        BenchError: A training failed.
    """
    index: dict[str, dict[str, str | int]] = {}
    for file in suites:
        suite = read(file)
        if suite.name in FOR_A_GPU:
            continue
        shipped = {name: model for name, model in suite.models.items() if not trained_live(suite.name, name)}
        suite = replace(suite, models=shipped, evaluations={}, expect=(), quoted=())
        done = run(suite, listener=listener_for(sys.stdout), store=store)
        for job, state in done.states.items():
            kind, _, rest = job.partition("/")
            if kind != "train":
                continue
            if state.status != "ok":
                raise BenchError(f"{file}: {job} {state.status}: {state.message}")
            name, _, trial = rest.rpartition("/")
            index.setdefault(state.key, _entry(folder, state, name, int(trial)))
    write_whole(folder / "index.json", (json.dumps(index, indent=1, sort_keys=True) + "\n").encode())
    used = {entry["file"] for entry in index.values()}
    for path in folder.glob("*.safetensors"):
        if path.name not in used:
            path.unlink()
    return {key: str(entry["file"]) for key, entry in index.items()}


def trained_live(suite: str, model: str) -> bool:
    """Whether a model of a suite is left out of the zoo."""
    return suite in TRAINED_LIVE and model.startswith(TRAINED_LIVE[suite])


def _entry(folder: Path, state: JobState, model: str, trial: int) -> dict[str, str | int]:
    """Write one file of weights and describe it."""
    assert state.path is not None  # noqa: S101 - its status is ok
    record = read_record(state.path)
    facts = {key: record.meta[key] for key in ("figures", "training_seconds", "torch", "seconds")} | {"kind": "train"}
    payload = pack(facts, record.arrays)
    name = f"{model}-{trial}-{state.key[:8]}.safetensors"
    write_whole(folder / name, payload)
    digest = hashlib.sha256(payload).hexdigest()
    return {"file": name, "model": model, "trial": trial, "sha256": digest, "content": record.content}


if __name__ == "__main__":
    if sys.argv[1:2] == [REKEY]:
        print(f"{rekey(sys.argv[2:])} weights have another key now")
        sys.exit()
    for made in build(sys.argv[1:]).values():
        print(made)
