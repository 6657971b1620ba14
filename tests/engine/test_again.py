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
    assert done == len(first.states) == 5
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
    assert set(run.states) == {"build/lin", "attack/wb/lin/0/fgsm/0", "verify/wb/lin/0/fgsm/0"}
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
    """All jobs of the model alone come first, as they share its modules; then those of one attack of a user's."""
    toy.module("bad", "def attack(*args, **options): raise ValueError('no')\n")
    toy.module("good", "def attack(model, x, goal, *, threat, draws): return x\n")
    text = (
        toy.suite().read_text().replace("[fgsm,", '[{"bad:attack": {}, as: bad}, {"good:attack": {}, as: good}, fgsm,')
    )
    run = toy.run(text, fail_fast=True)
    ended = [(job.split("/")[-2], state.status) for job, state in run.states.items()]
    assert ended[-2:] == [("bad", "failed"), ("bad", "skipped")]
    assert {status for _, status in ended[:-2]} == {"ok"}
    assert "attack/wb/lin/0/good/0" not in [*run.states, *toy.journal("queued")]
    assert run.exit_code == 3
    statuses = {row.attack: row.status for row in run.rows}
    assert (statuses["bad"], statuses["good"]) == ("failed", "not-run")
    assert toy.run(text).states["attack/wb/lin/0/good/0"].status == "ok"


def test_fail_fast_stops_at_a_model_that_cannot_be_built(toy: Workshop) -> None:
    toy.module("toy", "def linear(): raise ValueError('no')\n")
    run = toy.run(fail_fast=True)
    assert [state.status for state in run.states.values()] == ["failed", "skipped", "skipped", "skipped", "skipped"]
    assert toy.journal("queued") == ["build/lin"]
    assert run.exit_code == 3
    message = "'toy:linear' failed to build the model: ValueError: no"
    assert [state.message for state in run.states.values()] == [
        message,
        *[f"needs build/lin, which failed: {message}"] * 4,
    ]
    assert {row.status for row in run.rows} == {"failed"}
    assert all(row.message.endswith(message) for row in run.rows)


def test_equal_jobs_are_done_once(toy: Workshop) -> None:
    text = toy.suite().read_text()
    block = text[text.index("  wb:") :]
    run = toy.run(text + block.replace("wb:", "twin:").replace("fgsm", "{fgsm: {}, as: other}"))
    assert run.exit_code == 0
    assert len(run.states) == 9
    assert len(toy.journal("queued")) == 5
    assert len(toy.journal("ended")) == 9
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
    assert origins(again).count("store") == 4
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


def test_code_without_source_counts_by_its_bytes(toy: Workshop) -> None:
    text = toy.suite().read_text().replace("[fgsm,", '["hidden:attack",')
    job, row = "attack/wb/lin/0/attack/0", "wb/lin/attack/linf-0.3/robust_accuracy"

    def compiled(expression: str) -> None:
        toy.module("hidden", f"def attack(model, x, goal, *, threat, draws): return {expression}\n")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # the other holds the time of the source
        py_compile.compile(str(toy.folder / "hidden.py"), str(toy.folder / "hidden.pyc"), invalidation_mode=mode)
        (toy.folder / "hidden.py").unlink()

    compiled("x")
    first = toy.run(text)
    assert (first.exit_code, first.states[job].origin, toy.rows(first)[row].value) == (0, "done", 1)
    assert set(origins(toy.run(text))) == {"store"}
    compiled("threat.project(1 - x, x)")
    _, lines = forecast(read(toy.folder / "suite.yaml"), Options(store=toy.folder / "store", device="cpu"))
    (line,) = [line for line in lines if line.job.id == job]
    assert (line.origin, line.reason) == ("", "hidden.pyc has changed (attack hidden:attack)")
    assert [line.origin for line in lines].count("store") == 3, "the model, and the other attack with its outcomes"
    other = toy.run(text)
    assert (other.states[job].origin, toy.rows(other)[row].value < 1) == ("done", True)
    assert origins(other).count("store") == 3
    compiled("x")
    assert set(origins(toy.run(text))) == {"store"}


def test_plan_says_what_is_cached_and_why_not(toy: Workshop) -> None:
    options = Options(store=toy.folder / "store", device="cpu")
    _, before = forecast(read(toy.suite()), options)
    assert [line.reason for line in before] == [
        "not done before",
        "needs build/lin, which is to be done",
        "needs build/lin, which is to be done",
        "needs build/lin, which is to be done",
        "needs build/lin, which is to be done",
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
