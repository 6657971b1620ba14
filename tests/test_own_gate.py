"""The project gates itself: the main suite on a small sample, beside the baseline that is committed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.attacks.ascent import ascend
from bench.results import baselines
from bench.results.gate_reports import terminal

ROOT = Path(__file__).parents[1]
SMALL = ["data.mnist.take=100", "data.mnist-test.take=200", "evaluations.reconstruction.pairs=2"]
"""The same as in the Makefile's `baseline`."""


def test_the_main_suite_is_no_worse_than_its_baseline(tmp_path: Path) -> None:
    run = bench.run(
        ROOT / "suites" / "robustness.yaml", SMALL, out=tmp_path / "run", store=tmp_path / "store", device="cpu"
    )
    found = baselines.judge(run.folder, ROOT / "baselines" / "robustness-cpu.json")
    assert found.exit_code() == 0, terminal(found)
    assert found.compared == len(found.rows) >= 20
    verdicts = {(row.model, row.model_verdict) for row in run.rows if row.evaluation == "whitebox"}
    assert verdicts == {(model, "trusted") for model in ("softmax", "mlp", "cnn", "cnn-pgd")}


def test_an_attack_that_is_broken_is_not_taken_for_a_gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGD of the wrong sign leaves nearly all samples standing: no improvement, but nothing to compare."""
    sound = ascend

    def wrong(*given: Any, length: float, **named: Any) -> Any:
        return sound(*given, length=-length, **named)

    monkeypatch.setattr("bench.attacks.pgd.ascend", wrong)
    run = bench.run(
        ROOT / "suites" / "robustness.yaml", SMALL, out=tmp_path / "run", store=tmp_path / "store", device="cpu",
        only="whitebox/mlp/*", executor="inline",
    )  # fmt: skip
    found = baselines.judge(run.folder, ROOT / "baselines" / "robustness-cpu.json")
    answers = {row.row: row for row in found.rows}
    row = answers["whitebox/mlp/pgd-40/linf-0.1/robust_accuracy"]
    assert row.now > row.before + 0.5
    assert row.answer == "incomparable"
    assert replace(found, rows=(row,)).exit_code() == 3
    assert "its attack is broken now, by the audit, and was adequate" in row.sentence
    worst = answers["whitebox/mlp/worst-case/linf-0.1/robust_accuracy"]
    assert run.leaderboard.set_index("row").loc[worst.row, "row_verdict"] == "too-weak"
