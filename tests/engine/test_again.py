"""Running a suite again: what is done is not done again, and what changed is."""

from __future__ import annotations

import py_compile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.errors import UsageError
from bench.planning import Options, forecast
from bench.runner import Run
from bench.suite.check import read

if TYPE_CHECKING:
    from tests.conftest import Workshop

TRAINING = """
suite: training
data:
  digits: {source: mnist, take: 60}
models:
  a: {kind: classifier, arch: softmax, train: {recipe: standard, data: digits, epochs: 1}}
evaluations:
  wb: {kind: robustness, models: [a], data: digits, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm, pgd]}
"""

SUITE_OF_CHUNKS = """
suite: chunks
data:
  toy: {source: npz, path: toy.npz}
models:
  lin: {kind: classifier, load: "toy:linear"}
evaluations:
  wb: {kind: robustness, models: [lin], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
"""


def origins(run: Run, kind: str = "") -> list[str]:
    return [state.origin for job, state in run.states.items() if job.startswith(kind)]


def test_a_second_run_does_nothing(toy: Workshop) -> None:
    first = toy.run()
    table = (toy.folder / "out" / "leaderboard.csv").read_bytes()
    done = len(toy.journal("queued"))
    assert done == len(first.states) == 4
    second = toy.run(executor="local")  # and so starts no worker
    assert second.exit_code == 0
    assert len(toy.journal("queued")) == done
    assert sorted(toy.journal("found")) == sorted(first.states)
    assert set(origins(second)) == {"store"}
    assert not (toy.folder / "out" / "worker.log").exists()
    assert (toy.folder / "out" / "leaderboard.csv").read_bytes() == table


def test_neither_batch_size_nor_folder_nor_names_make_work(toy: Workshop) -> None:
    toy.run()
    text = (toy.folder / "suite.yaml").read_text().replace("lin", "renamed", 1).replace("[lin]", "[renamed]")
    again = toy.run(text.replace("wb:", "other:"), out="elsewhere", batch_size=3)
    assert set(origins(again)) == {"store"}


def test_more_samples_reuse_the_chunks_there_are(toy: Workshop) -> None:
    toy.toy(count=1700)
    toy.run(SUITE_OF_CHUNKS, "data.toy.take=1000")
    more = toy.run(SUITE_OF_CHUNKS, "data.toy.take=1500")
    assert [more.states[f"attack/wb/lin/0/fgsm/{chunk}"].origin for chunk in range(3)] == ["store", "store", "done"]
    row = toy.rows(more)["wb/lin/fgsm/linf-0.1/robust_accuracy"]
    assert row.n == 1500
    whole = toy.run(SUITE_OF_CHUNKS, "data.toy.take=1500", store="fresh", out="fresh-out")
    assert toy.rows(whole)["wb/lin/fgsm/linf-0.1/robust_accuracy"].value == row.value
    assert (whole.folder / "outcomes.csv").read_bytes() == (more.folder / "outcomes.csv").read_bytes()


def test_recompute_redoes_outcomes_but_not_training(workshop: Workshop) -> None:
    first = workshop.run(TRAINING)
    again = workshop.run(TRAINING, recompute=True)
    assert origins(again, "train/") == ["store"]
    assert set(origins(again, "attack/") + origins(again, "verify/")) == {"done"}
    assert [row.value for row in again.rows] == [row.value for row in first.rows]


def test_retrain_redoes_training_but_no_outcomes_of_the_same_weights(workshop: Workshop) -> None:
    first = workshop.run(TRAINING)
    again = workshop.run(TRAINING, retrain=True)
    assert origins(again, "train/") == ["done"]
    assert again.states["train/a/0"].content == first.states["train/a/0"].content
    assert set(origins(again, "attack/") + origins(again, "verify/")) == {"store"}


def test_only_runs_a_part(toy: Workshop) -> None:
    run = toy.run(only="wb/lin/fgsm/*")
    assert set(run.states) == {"attack/wb/lin/0/fgsm/0", "verify/wb/lin/0/fgsm/0"}
    assert run.exit_code == 0
    statuses = {row.row.split("/")[2]: row.status for row in run.rows}
    assert statuses == {"clean": "ok", "fgsm": "ok", "pgd": "not-run", "worst-case": "not-run"}
    with pytest.raises(UsageError, match="--only 'wb/lon' matches none of the 7 rows"):
        toy.run(only="wb/lon")


def test_only_runs_no_data_source_that_it_does_not_need(toy: Workshop) -> None:
    toy.module("slow", "def data(): raise RuntimeError('this was run')\n")
    text = (toy.suite()).read_text()
    text = text.replace("data:\n", 'data:\n  slow: {source: "slow:data"}\n', 1)
    text += (
        "  other: {kind: robustness, models: [lin], data: slow, threat: {norm: linf, epsilon: 1}, attacks: [fgsm]}\n"
    )
    run = toy.run(text, only="wb")
    assert run.exit_code == 0
    assert "data/slow" not in run.states
    assert toy.run(text, only="other").states["data/slow"].status == "failed"


def test_fail_fast_starts_nothing_more(toy: Workshop) -> None:
    toy.module("bad", "def attack(*args, **options): raise ValueError('no')\n")
    text = toy.suite().read_text().replace("[fgsm,", '["bad:attack", fgsm,')
    run = toy.run(text, fail_fast=True)
    assert [state.status for state in run.states.values()] == ["failed", "skipped"]
    assert run.exit_code == 3
    assert {row.status for row in run.rows} == {"failed", "not-run"}
    assert toy.run(text).states["attack/wb/lin/0/fgsm/0"].status == "ok"


def test_equal_jobs_are_done_once(toy: Workshop) -> None:
    text = toy.suite().read_text()
    block = text[text.index("  wb:") :]
    run = toy.run(text + block.replace("wb:", "twin:").replace("fgsm", "{fgsm: {}, as: other}"))
    assert run.exit_code == 0
    assert len(run.states) == 8
    assert len(toy.journal("queued")) == 4
    assert len(toy.journal("ended")) == 8
    values = [[row.value for row in run.rows if row.evaluation == name] for name in ("wb", "twin")]
    assert values[0] == values[1]


def test_a_damaged_result_is_made_again(toy: Workshop) -> None:
    first = toy.run()
    path = first.states["attack/wb/lin/0/pgd/0"].path
    assert path is not None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = toy.run()
    assert again.states["attack/wb/lin/0/pgd/0"].origin == "done"
    assert origins(again).count("store") == 3
    assert [row.value for row in first.rows] == [row.value for row in again.rows]


def test_edited_code_is_new_code(toy: Workshop) -> None:
    """In one process too: Python would go on using the module as it was first imported."""
    source = "def attack(model, x, goal, *, threat, draws): return {}\n"
    toy.module("mine", source.format("x"))
    text = toy.suite().read_text().replace("[fgsm,", '["mine:attack",')
    row = "wb/lin/attack/linf-0.3/robust_accuracy"
    assert toy.rows(toy.run(text))[row].value == 1
    toy.module("mine", source.format("threat.project(1 - x, x)"))
    assert toy.rows(toy.run(text))[row].value < 1


def test_code_without_source_is_not_cached(toy: Workshop) -> None:
    toy.module("hidden", "def attack(model, x, goal, *, threat, draws): return x\n")
    py_compile.compile(str(toy.folder / "hidden.py"), cfile=str(toy.folder / "hidden.pyc"))
    (toy.folder / "hidden.py").unlink()
    text = toy.suite().read_text().replace("[fgsm,", '["hidden:attack",')
    for _ in range(2):
        run = toy.run(text)
        assert run.exit_code == 0
        assert run.states["attack/wb/lin/0/attack/0"].origin == "done"
    _, lines = forecast(read(toy.folder / "suite.yaml"), Options(store=toy.folder / "store", device="cpu"))
    (line,) = [line for line in lines if line.job.id == "attack/wb/lin/0/attack/0"]
    assert line.origin == ""
    assert line.reason == "never cached: the source of hidden:attack cannot be read"
    assert [line.origin for line in lines].count("store") == 2


def test_plan_says_what_is_cached_and_why_not(toy: Workshop) -> None:
    options = Options(store=toy.folder / "store", device="cpu")
    _, before = forecast(read(toy.suite()), options)
    assert [line.reason for line in before] == [
        "not done before",
        "needs attack/wb/lin/0/fgsm/0, which is to be done",
        "not done before",
        "needs attack/wb/lin/0/pgd/0, which is to be done",
    ]
    toy.run()
    _, after = forecast(read(toy.suite()), options)
    assert {line.origin for line in after} == {"store"}
    _, ignored = forecast(read(toy.suite()), Options(store=toy.folder / "store", device="cpu", recompute=True))
    assert ignored[0].reason == "its stored result is to be ignored"


def test_a_model_without_rows_fails_the_run_too(workshop: Workshop) -> None:
    np.savez("d.npz", x=np.zeros((4, 3)), y=np.arange(4))
    text = """
        suite: rowless
        data: {d: {source: npz, path: d.npz}}
        models: {m: {kind: classifier, arch: softmax, train: {recipe: standard, data: d}}}
    """
    run = workshop.run(text)
    assert run.exit_code == 3
    assert "failed on a batch of shape (1, 3)" in run.states["train/m/0"].message
    assert workshop.run(text.replace("d.npz}", "d.npz, x: nothing}"), out="other").exit_code == 3
