"""Rows of generators: what trials have not is said, and never averaged away."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from bench.engine.state import JobState
from bench.engine.store import Store, read_record, write_record
from bench.results.expectations import examine, exit_code
from bench.results.row import Row
from bench.results.rows import make_rows
from bench.suite.check import check
from bench.suite.inputs import Inputs
from bench.suite.plan import make_plan

if TYPE_CHECKING:
    from tests.conftest import Workshop

EXPECTED = """expect:
  - {row: ring/gan/ring/iterations_to_all_modes, max: 1000}
quoted:
  - {row: ring/gan/ring/iterations_to_all_modes, value: 500, source: "nobody 1999"}
"""
TO_ALL = "ring/gan/ring/iterations_to_all_modes"


@pytest.fixture
def suite(ring_suite: str) -> str:
    return ring_suite + EXPECTED


@pytest.fixture
def rows_of(tmp_path: Path, suite: str) -> Callable[[Sequence[int | None]], list[Row]]:
    """The rows of trials that needed some iterations until all modes were hit, or never did within 8,000."""

    def kept(key: str, meta: dict[str, Any]) -> Path:
        path = Store(tmp_path).path("measure", key)
        write_record(path.parent, meta, {}, kind="measure", key=key)
        return path

    def made(to_all: Sequence[int | None]) -> list[Row]:
        checked = check(suite, "s.yaml", [f"models.gan.trials={len(to_all)}"])
        inputs = Inputs(checked, file_digest=lambda _: "", materialised={}, failures={})
        plan = make_plan(inputs, device="cpu")
        states = {}
        for trial, value in enumerate(to_all):
            values = {"iterations_to_all_modes": value, "modes_lost": trial}
            above = {"iterations_to_all_modes": 8000} if value is None else {}
            meta: dict[str, Any] = {"n": 2500, "values": values, "above": above, "note": "4 looks"}
            job = f"measure/ring/gan/{trial}/history"
            states[job] = JobState("ok", path=kept(str(trial), meta))
            states |= {need: JobState("ok") for need in plan.jobs[job].needs}
            distance = 0.9 + 0.1 * (trial % 2)
            values = {f"total_variation{end}": distance for end in ("", "_2", "_3")}
            job = f"measure/ring/gan/{trial}/collapse_region"
            states[job] = JobState("ok", path=kept(f"{trial}-region", {"n": 100, "values": values}))
            states |= {need: JobState("ok") for need in plan.jobs[job].needs}
        found = make_rows(checked, plan, states).rows
        assert [finding.verdict for finding in examine(checked, found)] == ["missed" if None in to_all else "met"], (
            "an expectation is not met by what has no figure"
        )
        return found

    return made


def only(rows: Sequence[Row], name: str) -> Row:
    (found,) = [row for row in rows if row.row == name]
    return found


def test_trials_that_all_hit_every_mode_have_a_mean_and_an_interval(rows_of: Any) -> None:
    row = only(rows_of([200, 400, 600]), TO_ALL)
    assert (row.value, row.trials, row.n, row.status, row.message) == (400, 3, 2500, "ok", "4 looks")
    assert row.low == 0 < 400 < row.high, "Student's interval would begin below 0"
    assert row.direction == "lower"


def test_a_trial_that_never_did_leaves_no_mean(rows_of: Any) -> None:
    """The others' mean would be that of the lucky ones."""
    rows = rows_of([200, None, 600])
    row = only(rows, TO_ALL)
    assert math.isnan(row.value)
    assert math.isnan(row.low)
    assert math.isnan(row.high)
    assert row.trials == 3, "it is counted"
    assert row.message == "never up to 8,000 in 1 of 3 trials, so that the mean is above 2,933; 4 looks"
    assert row.status == "ok", "nothing went wrong: that it never happened is the finding"
    assert exit_code([row], [], {row.row}) == 0
    lost = only(rows, "ring/gan/ring/modes_lost")
    assert (lost.value, lost.message) == (1, "4 looks")


def test_the_interval_of_a_distance_ends_at_one(rows_of: Any) -> None:
    row = only(rows_of([200, 200]), "ring/gan/ring/total_variation")
    assert row.value == pytest.approx(0.95)
    assert (row.low < 0.9, row.high) == (True, 1.0)
    alone = only(rows_of([200]), "ring/gan/ring/total_variation")
    assert math.isnan(alone.low), "of one trial there is none: a distance is no share of samples"


@pytest.mark.parametrize(
    ("trials", "sentence"),
    [
        ([None], "never up to 8,000; 4 looks"),
        ([None, None], "never up to 8,000 in 2 of 2 trials, so that the mean is above 8,000; 4 looks"),
    ],
)
def test_no_trial_ever_did(rows_of: Any, trials: list[None], sentence: str) -> None:
    row = only(rows_of(trials), TO_ALL)
    assert math.isnan(row.value)
    assert row.message == sentence


def test_what_was_expected_says_why_there_is_no_figure(rows_of: Any, suite: str) -> None:
    rows = rows_of([None])
    (finding,) = examine(check(suite, "s.yaml"), rows)
    assert (finding.verdict, finding.found) == ("missed", "no figure: never up to 8,000; 4 looks")
    assert exit_code(rows, [finding], {TO_ALL}) == 1


def test_a_run_from_training_to_leaderboard(workshop: Workshop, suite: str) -> None:
    run = workshop.run(suite)
    assert {row.status for row in run.rows} == {"ok"}
    board = pd.read_csv(run.folder / "leaderboard.csv").set_index("row")
    never = board.loc[TO_ALL]
    assert np.isnan(never.value)
    assert never.message.startswith("never up to 8 in 3 of 3 trials, so that the mean is above 8; 4 looks, the last")
    assert board.loc["ring/gan/ring/modes_lost"].trials == 3
    assert not [row for row in board.index if "real-data" in row and ("iterations" in row or "lost" in row)]
    packed = [board.loc[f"ring/gan/ring/total_variation{end}"] for end in ("", "_2", "_3")]
    assert [row.value for row in packed] == sorted(row.value for row in packed)
    assert all(0 < row.value <= 1 and row.low <= row.value <= row.high <= 1 for row in packed)
    real = board.loc["ring/real-data/ring/total_variation"]
    assert real.value < packed[0].value
    assert "100 points of the data itself would be" in real.message
    record = read_record(run.states["measure/ring/gan/1/history"].path)
    assert record.arrays["iterations"].tolist() == [2, 4, 6, 8]
    assert record.arrays["histogram"].shape == (4, 8)
    assert (record.arrays["histogram"].sum(1) + record.arrays["outside"] == 2500).all()
    region = read_record(run.states["measure/ring/gan/1/collapse_region"].path)
    assert (region.arrays["delta"][-1], region.arrays["epsilon"][-1]) == pytest.approx((1, 1))


def test_looks_are_measured_on_no_device_and_without_samples(workshop: Workshop, suite: str) -> None:
    run = workshop.run(suite, only="ring/gan/ring/modes_lost")
    assert run.exit_code == 0
    assert sorted({job.partition("/")[0] for job in workshop.journal("queued")}) == ["measure", "train"]


def test_a_training_that_fails_leaves_no_history(workshop: Workshop, suite: str) -> None:
    run = workshop.run(suite, "models.gan.train.learning_rate=1e30")
    row = only(run.rows, TO_ALL)
    assert run.exit_code == 3
    assert row.status == "skipped"
    assert "training diverged" in row.message
