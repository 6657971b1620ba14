"""The list of a job is the same, whatever ran before it and wherever it ran."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.engine.executors import LocalExecutor
from bench.engine.task import Task
from bench.runner import run
from bench.suite.check import check
from bench.suite.names import all_rows
from tests.conftest import Workshop
from tests.tracking.conftest import lists

SHARED = """
import functools
import json
import os
from pathlib import Path

HERE = Path(__file__).parent


@functools.lru_cache
def table(name):
    "Reads a file once for the whole process."
    return json.loads((HERE / name).read_text())


@functools.lru_cache
def mode():
    return os.environ.get("ORDER_MODE", "plain")
"""
MODELS = """
import torch
from torch import nn

import shared


class Lazy(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name
        self.linear = nn.Linear(4, 2)
        self.linear.weight.data = torch.tensor([[-4.0, 0, 0, 0], [4.0, 0, 0, 0]])
        self.linear.bias.data = torch.tensor([2.0, -2.0])

    def forward(self, x):
        import late

        return self.linear(x) * late.factor() * shared.table("common.json")["scale"]


def build(name):
    shared.mode()
    shared.table(name)
    return Lazy(name)
"""
LATE = "import shared\n\n\ndef factor():\n    return shared.table('late.json')['factor']\n"
MINE = """
import shared


def attack(model, x, goal, *, threat, draws, table):
    shared.table(table), shared.table("common.json"), model(x)
    return x


def score(model, x, examples, y):
    return [shared.table("common.json")["scale"]] * len(x)
"""
SUITE = """
suite: order
data:
  toy: {source: npz, path: toy.npz, take: 30}
models:
  one: {kind: classifier, load: "models:build", args: {name: one.json}}
  two: {kind: classifier, load: "models:build", args: {name: two.json}}
  three: {kind: classifier, load: "models:build", args: {name: three.json}}
evaluations:
  a: {kind: robustness, models: [one, two, three], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm, {"mine:attack": {table: one.json}, as: mine-one}, {"mine:attack": {table: two.json}, as: mine-two}, {pgd: {steps: 2}}]}
  b: {kind: robustness, models: [two, one], data: toy, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm], metrics: [robust_accuracy, "mine:score"]}
"""  # noqa: E501


@pytest.fixture
def project(workshop: Workshop) -> Workshop:
    """Three models, an attack and a metric that share a module with a cache."""
    x = np.random.default_rng(0).random((30, 4)).astype(np.float32)
    np.savez(workshop.folder / "toy.npz", x=x, y=(x[:, 0] > 0.5).astype(np.int64))
    for name, text in (("shared", SHARED), ("models", MODELS), ("late", LATE), ("mine", MINE)):
        workshop.module(name, text)
    for name in ("one", "two", "three", "common", "late"):
        (workshop.folder / f"{name}.json").write_text('{"scale": 1.0, "factor": 1.0}')
    return workshop


def found(folder: Path, parts: Sequence[str], *, executor: str, store: str) -> dict[str, object]:
    """The lists of all jobs, when the parts of the suite are run one after the other."""
    jobs: dict[str, object] = {}
    for number, only in enumerate(parts):
        ended = run(
            folder / "suite.yaml", executor=executor, out=folder / f"{store}-{number}", store=folder / store,
            device="cpu", only=only,
        )  # fmt: skip
        assert ended.exit_code == 0, [row.message for row in ended.rows]
        jobs |= {job: each.to_json()["components"] for job, each in lists(ended.folder, folder / store).items()}
    return jobs


def test_lists_do_not_depend_on_what_ran_before(project: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / "suite.yaml").write_text(SUITE)
    rows = list(all_rows(check(SUITE, "suite.yaml")))
    together = found(project.folder, ["*"], executor="local", store="together")
    assert len(together) >= 30
    assert found(project.folder, ["*"], executor="inline", store="inline") == together
    for seed in range(1):
        parts = sorted({row.rpartition("/")[0].rpartition("/")[0] + "/*" for row in rows if "worst" not in row})
        random.Random(seed).shuffle(parts)  # noqa: S311
        inline = found(project.folder, parts, executor="inline", store=f"inline-{seed}")
        assert {job: inline[job] for job in inline} == {job: together[job] for job in inline}

    one = LocalExecutor._one

    def alone(self: LocalExecutor, task: Task, progress: object) -> object:
        if random.Random(task.id).random() < 0.5:  # noqa: S311 - every second job has a process of its own
            self._stop()
        return one(self, task, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalExecutor, "_one", alone)
    assert found(project.folder, ["*"], executor="local", store="alone") == together


def test_what_is_cached_by_one_component_is_in_the_list_of_another(project: Workshop) -> None:
    """The attack finds common.json in a cache that the model filled, and is done again when the file changes."""
    project.run(SUITE)
    (project.folder / "common.json").write_text('{"scale": 2.0, "factor": 1.0}')
    again = project.run(SUITE, out=project.folder / "again")
    assert not [job for job, state in again.states.items() if state.origin == "store"]


def test_a_module_that_changes_between_two_jobs_of_a_process_is_loaded_anew(project: Workshop) -> None:
    first = project.run(SUITE)
    project.module("late", LATE.replace("['factor']", "['factor'] * 0.0"))
    second = project.run(SUITE, out=project.folder / "again")
    assert first.rows[0].value > second.rows[0].value
