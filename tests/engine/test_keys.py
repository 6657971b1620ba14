"""What a job's key depends on, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bench.attacks.catalogue import ATTACKS
from bench.engine.keys import arrays_digest, digest, source_digest
from bench.engine.ledger import Ledger
from bench.engine.store import Store
from bench.planning import current_plan
from bench.suite.check import check

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
    """The keys of the jobs whose inputs are known before anything has run."""
    ledger = Ledger(Store("."), nonce="")
    plan = current_plan(check(text, "suite.yaml", assignments), ledger, device).plan
    return {job.id: ledger.key(job) for job in plan.jobs.values() if not job.needs}


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


def test_content_of_files_and_code_decides_not_their_place(keyed: Workshop) -> None:
    before = attacks()
    (keyed.folder / "moved.npz").write_bytes((keyed.folder / "toy.npz").read_bytes())
    (keyed.folder / "moved.pt").write_bytes((keyed.folder / "w.pt").read_bytes())
    assert attacks(SUITE.replace("toy.npz", "moved.npz").replace("w.pt", "moved.pt")) == before
    torch.save({"weight": torch.eye(2, 4) * 2, "bias": torch.zeros(2)}, "w.pt")
    other_weights = attacks()
    keyed.toy(count=41)
    other_data = attacks()
    keyed.module("toy", (keyed.folder / "toy.py").read_text() + "# edited\n")
    other_model = attacks()
    keyed.module("mine", (keyed.folder / "mine.py").read_text() + "# edited\n")
    other_attack = attacks()
    versions = [before, other_weights, other_data, other_model, other_attack]
    assert len({keys[1] for keys in versions}) == 5
    assert len({keys[0] for keys in versions}) == 4  # our own attack does not depend on the user's


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


def test_source_that_cannot_be_read() -> None:
    assert source_digest("math:sqrt") is None  # built in
    assert source_digest("no.such.module:thing") is None
    assert source_digest("json:loads") is not None
    assert source_digest("bench.attacks.pgd:pgd") is not None
