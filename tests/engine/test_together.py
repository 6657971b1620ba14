"""Trials that are trained as one: separate results under separate keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.engine.store import read_record
from bench.engine.task import Result, Task, apart
from bench.engine.together import joined
from bench.training import together
from bench.training.packing import PackedGan

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: together
data:
  ring: {source: ring8, samples: 200}
models:
  gan:
    kind: generator
    arch: {gan-grid: {width: 8}}
    trials: 3
    train: {recipe: packed-gan, data: ring, iterations: 40, batch_size: 20, width: 8}
evaluations:
  ring: {kind: generation, models: [gan], data: ring, samples: 50, metrics: [modes]}
"""


def task(trial: int, **work: object) -> Task:
    given = {"recipe": {"name": "packed-gan"}, "model": {"arch": {"name": "gan-grid"}}, "trial": trial, **work}
    return Task(f"train/gan/{trial}", "train", given, {"data": "there"}, f"out/{trial}")


def test_tasks_are_joined_that_differ_in_the_trial_alone() -> None:
    other = task(0, seed=1)
    mlp = task(0, model={"arch": {"name": "mlp"}}, recipe={"name": "standard"})
    own = task(1, model={"load": "mine:net"})
    tasks = joined([task(0), mlp, task(1), other, own, Task("a", "attack", {}, {}, "o"), task(2)])
    assert [each.id for each in tasks] == ["train/gan/0", "train/gan/0", "train/gan/0", "train/gan/1", "a"]
    assert [len(each.together) for each in tasks] == [3, 0, 0, 0, 0]
    assert [part["output"] for part in tasks[0].together] == ["out/0", "out/1", "out/2"]


def test_what_befalls_the_whole_befalls_each_trial() -> None:
    (whole,) = joined([task(0), task(1)])
    lost = apart(whole, Result(whole.id, "lost", "it died"))
    assert [(each.id, each.status) for each in lost] == [("train/gan/0", "lost"), ("train/gan/1", "lost")]


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_each_trial_has_a_result_of_its_own(workshop: Workshop, executor) -> None:
    run = workshop.run(SUITE, executor=executor)
    assert run.exit_code == 0
    names = [f"train/gan/{trial}" for trial in range(3)]
    assert len({run.states[name].key for name in names}) == 3
    assert len({run.states[name].content for name in names}) == 3
    again = workshop.run(SUITE.replace("trials: 3", "trials: 2"), out=workshop.folder / "again")
    assert {again.states[name].origin for name in names[:2]} == {"store"}
    more = workshop.run(SUITE.replace("trials: 3", "trials: 5"), out=workshop.folder / "more")
    assert [more.states[f"train/gan/{trial}"].origin for trial in range(5)] == ["store"] * 3 + ["done"] * 2


def test_a_trial_that_diverges_fails_alone(workshop: Workshop, monkeypatch) -> None:
    own = PackedGan.__init__

    def spoiled(self, generators, *rest, **options):
        own(self, generators, *rest, **options)
        if len(generators) > 1:
            next(iter(self.generator.parameters())).data[1] = np.nan

    monkeypatch.setattr(PackedGan, "__init__", spoiled)
    run = workshop.run(SUITE)
    assert run.exit_code == 3
    assert [run.states[f"train/gan/{trial}"].status for trial in range(3)] == ["ok", "failed", "ok"]
    assert "training diverged: at iteration 1 some weights" in run.states["train/gan/1"].message
    assert run.states["sample/ring/gan/2"].status == "ok"
    (row,) = [row for row in run.rows if row.row == "ring/gan/ring/modes"]
    assert "training diverged" in row.message


def test_looks_are_kept_beside_the_weights(workshop: Workshop) -> None:
    run = workshop.run(SUITE.replace("width: 8}\nev", "width: 8, looks: 2}\nev"))
    assert run.exit_code == 0, [row.message for row in run.rows]
    path = run.states["train/gan/0"].path
    assert path is not None
    looks = {name: values.shape for name, values in read_record(path).arrays.items() if name.startswith(together.LOOK)}
    assert looks == {"look.20": (2500, 2), "look.40": (2500, 2)}
