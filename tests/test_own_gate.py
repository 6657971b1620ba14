"""The project gates itself: the main suite on a small sample, beside the baseline that is committed."""

from __future__ import annotations

from pathlib import Path

import bench
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
