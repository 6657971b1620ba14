"""What a job's key depends on, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bench.attacks.catalogue import ATTACKS
from bench.engine.ledger import Ledger
from bench.engine.state import JobState
from bench.engine.store import Store
from bench.hashing import arrays_digest, digest
from bench.planning import current_plan
from bench.runner import Run
from bench.suite.check import check
from bench.suite.jobs import VERSIONS

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: keys
seed: 0
data:
  toy: {source: npz, path: toy.npz}
models:
  lin: {kind: classifier, load: "toy:linear", weights: w.pt}
evaluations:
  wb:
    kind: robustness
    models: [lin]
    data: toy
    threat: {norm: linf, epsilon: [0.1, 0.3]}
    attacks: [{pgd: {steps: 3}, as: a}, {"mine:attack": {strength: 2}, as: b}]
"""
TRAINED = """
suite: keys
data:
  digits: {source: mnist, take: 50}
models:
  m: {kind: classifier, arch: softmax, train: {recipe: standard, data: digits, epochs: 1}, trials: 2}
"""


@pytest.fixture
def keyed(toy: Workshop) -> Workshop:
    toy.module("mine", "def attack(model, x, goal, *, threat, draws, strength): return x\n")
    torch.save({"weight": torch.eye(2, 4), "bias": torch.zeros(2)}, "w.pt")
    return toy


def keys_of(text: str, device: str = "cpu", *assignments: str) -> Mapping[str, str]:
    """The keys of the jobs whose inputs are known before anything has run, but for models that are to be built.

    A model is taken to be what its key says.
    """
    ledger = Ledger(Store(Path()))
    plan = current_plan(check(text, "suite.yaml", assignments), ledger, device).plan
    keys = {}
    for job in plan.jobs.values():
        if all(need.startswith("build/") for need in job.awaited):
            keys[job.id] = ledger.key(job)
            if job.kind == "build":
                ledger.states[job.id] = JobState("ok", content=keys[job.id])
    return keys


def attacks(text: str = SUITE, device: str = "cpu", *assignments: str) -> list[str]:
    return [key for name, key in keys_of(text, device, *assignments).items() if name.startswith("attack/")]


def test_order_of_keys_and_kinds_of_sequences_do_not_matter() -> None:
    assert digest({"a": 1, "b": {"c": [1, 2.5], "d": None}}) == digest({"b": {"d": None, "c": [1, 2.5]}, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest({"a": 0.1}) != digest({"a": 0.1 + 1e-16 * 2})


def test_arrays_are_named_by_all_they_are() -> None:
    array = np.arange(6.0)
    names = {
        arrays_digest(arrays)
        for arrays in (
            {"x": array},
            {"y": array},
            {"x": array.reshape(2, 3)},
            {"x": array.reshape(3, 2)},
            {"x": array.astype(np.float32)},
            {"x": array, "y": array},
            {"x": np.array(5.0)},
            {"x": np.array([5.0])},
        )
    }
    assert len(names) == 8
    assert arrays_digest({"x": array.reshape(2, 3).T}) == arrays_digest({"x": array.reshape(2, 3).T.copy()})


CHANGES = {
    "seed": ("seed: 0", "seed: 1", 2),
    "an epsilon": ("[0.1, 0.3]", "[0.1, 0.2]", 2),
    "one more epsilon": ("[0.1, 0.3]", "[0.1, 0.3, 0.5]", 2),
    "norm": ("linf", "l2", 2),
    "target": ("[0.1, 0.3]", "[0.1, 0.3], target: next", 2),
    "range": ("path: toy.npz", "path: toy.npz, range: [0, 2]", 2),
    "array": ("path: toy.npz", "path: toy.npz, y: z", 2),
    "arguments": ('"toy:linear",', '"toy:linear", args: {scale: 3},', 2),
    "option": ("steps: 3", "steps: 4", 1),
    "hidden option": ("steps: 3", "steps: 3, start: clean", 1),
    "option of the user's": ("strength: 2", "strength: 3", 1),
    "kind of number": ("strength: 2", "strength: 2.0", 1),
}


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("what", CHANGES)
def test_a_key_changes_with(what: str) -> None:
    old, new, count = CHANGES[what]
    x = np.load("toy.npz")
    np.savez("toy.npz", x=x["x"], y=x["y"], z=x["y"])
    assert old in SUITE
    before, after = attacks(), attacks(SUITE.replace(old, new))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == count


UNCHANGED = {
    "order of epsilons": ("[0.1, 0.3]", "[0.3, 0.1]"),
    "8/255 and its value": ("[0.1, 0.3]", "[1/10, 0.3]"),
    "name of the suite": ("suite: keys", "suite: other"),
    "name of the model": ("lin", "linear-one"),
    "name of the evaluation": ("wb:", "white:"),
    "name of the data": ("toy: {", "points: {"),
    "label of the attack": ("as: a}", "as: renamed}"),
    "default written out": ("steps: 3", "steps: 3, restarts: 1"),
    "metrics": ("attacks:", "metrics: [confidence]\n    attacks:"),
    "timeout": ("data: toy", "data: toy\n    timeout: 3s"),
    "description": ("seed: 0", "seed: 0\ndescription: words"),
}


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("what", UNCHANGED)
def test_a_key_does_not_change_with(what: str) -> None:
    old, new = UNCHANGED[what]
    changed = SUITE.replace(old, new)
    if what == "name of the model":
        changed = SUITE.replace("lin:", f"{new}:").replace("[lin]", f"[{new}]")
    if what == "name of the data":
        changed = changed.replace("data: toy", "data: points")
    assert changed != SUITE
    assert attacks(changed) == attacks()


def done(run: Run) -> set[str]:
    """The jobs that a run had to do, the others being in the store."""
    assert run.exit_code == 0, [row.message for row in run.rows]
    assert {state.origin for state in run.states.values()} <= {"done", "store"}
    return {job for job, state in run.states.items() if state.origin == "done"}


def test_content_of_files_and_code_decides_not_their_place(keyed: Workshop) -> None:
    before = attacks()
    (keyed.folder / "moved.npz").write_bytes((keyed.folder / "toy.npz").read_bytes())
    (keyed.folder / "moved.pt").write_bytes((keyed.folder / "w.pt").read_bytes())
    assert attacks(SUITE.replace("toy.npz", "moved.npz").replace("w.pt", "moved.pt")) == before
    torch.save({"weight": torch.eye(2, 4) * 2, "bias": torch.zeros(2)}, "w.pt")
    other_weights = attacks()
    keyed.toy(count=41)
    other_data = attacks()
    for keys in zip(before, other_weights, other_data, strict=True):
        assert len(set(keys)) == 3
    keyed.module("toy", (keyed.folder / "toy.py").read_text().replace("scale=4.0", "scale=5.0"))
    keyed.module("mine", (keyed.folder / "mine.py").read_text().replace("return x", "return x + 0"))
    assert attacks() == other_data, "code is no part of a key: what a result is made of is in its list"


def test_edits_of_code_redo_what_runs_it_and_nothing_else(keyed: Workshop) -> None:
    """Whether in the process that ran the code before, or in a worker."""
    ours, theirs = ({f"{kind}/wb/lin/0/{label}/0" for kind in ("attack", "verify")} for label in "ab")
    assert done(keyed.run(SUITE)) == {"build/lin", *ours, *theirs}
    assert done(keyed.run(SUITE)) == set()
    model, attack = ((keyed.folder / f"{name}.py").read_text() for name in ("toy", "mine"))
    for executor, epsilon in (("inline", 0.5), ("local", 0.25)):
        keyed.module("toy", "# edited\n" + model)
        keyed.module("mine", attack.replace("return x", "return (x)  # edited"))
        assert done(keyed.run(SUITE, executor=executor)) == set(), "comments and layout mean nothing"
        keyed.module("mine", attack.replace("return x", f"return threat.project({epsilon} + 0 * x, x)"))
        assert done(keyed.run(SUITE, executor=executor)) == theirs, "our own attack does not depend on the user's"
        keyed.module("mine", attack)
        assert done(keyed.run(SUITE, executor=executor)) == set(), "back to what it was"
        keyed.module("toy", model.replace("return model", f"'{executor}'; return model"))
        assert done(keyed.run(SUITE, executor=executor)) == {"build/lin", *ours, *theirs}
        keyed.module("toy", model)
        assert done(keyed.run(SUITE, executor=executor)) == set()


@pytest.mark.usefixtures("keyed")
def test_the_class_of_device_decides() -> None:
    assert not set(attacks(SUITE, "cuda")) & set(attacks())
    assert keys_of(TRAINED, "cuda") == keys_of(TRAINED), "weights are the same thing wherever they were made"


@pytest.mark.usefixtures("keyed")
def test_the_version_of_a_component_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    before = attacks()
    monkeypatch.setitem(ATTACKS._components, "pgd", type(ATTACKS["pgd"])(**{**vars(ATTACKS["pgd"]), "version": 99}))
    after = attacks()
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)


def test_recipe_keys() -> None:
    before = keys_of(TRAINED)
    assert len(set(before.values())) == 2, "each trial has a key of its own"
    for old, new in [
        ("epochs: 1", "epochs: 2"),
        ("arch: softmax", "arch: {mlp: {hidden: [8]}}"),
        ("take: 50", "take: 51"),
        ("take: 50", "take: 50, skip: 1"),
        ("source: mnist", "source: mnist, split: train"),
        ("suite: keys", "suite: keys\nseed: 1"),
    ]:
        after = keys_of(TRAINED.replace(old, new))
        assert not set(after.values()) & set(before.values()), new
    assert list(keys_of(TRAINED.replace("m: {", "other: {")).values()) == list(before.values())


PLACES = {"a package": "torch.nn:Flatten", "python": "copy:copy", "built in": "_operator:pos"}


@pytest.mark.parametrize("where", PLACES)
def test_code_of_packages_and_of_python_is_reused(where: str, toy: Workshop) -> None:
    """Compiled into Python or not."""
    text = SUITE.replace(', {"mine:attack": {strength: 2}, as: b}', "").replace(", weights: w.pt", "")
    if where == "a package":
        text = text.replace("toy:linear", PLACES[where])
    else:
        given = f"from {PLACES[where].replace(':', ' import ')} as given\n"
        toy.module("toy", given + (toy.folder / "toy.py").read_text())
    assert len(done(toy.run(text))) == 3
    assert done(toy.run(text)) == set()


@pytest.mark.parametrize("name", ["no.such.module:thing", "toy:nothing"])
def test_code_that_is_not_there_fails_its_job_alone(keyed: Workshop, name: str) -> None:
    for _ in range(2):
        run = keyed.run(SUITE.replace("mine:attack", name))
        assert run.exit_code == 3
        statuses = {job: state.status for job, state in run.states.items()}
        assert (statuses.pop("attack/wb/lin/0/b/0"), statuses.pop("verify/wb/lin/0/b/0")) == ("failed", "skipped")
        assert set(statuses.values()) == {"ok"}


@pytest.mark.usefixtures("keyed")
def test_the_version_of_a_kind_of_jobs_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys_of(SUITE)
    for kind in ("attack", "build"):
        with monkeypatch.context() as patch:
            patch.setitem(VERSIONS, kind, VERSIONS[kind] + 1)
            after = keys_of(SUITE)
        changed = {job for job in before if after[job] != before[job]}
        assert changed == {job for job in before if kind == "build" or job.startswith(f"{kind}/")}
