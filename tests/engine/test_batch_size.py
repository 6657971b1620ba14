"""The outcome of a sample does not depend on --batch-size."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bench

SUITE = """
suite: batches
data:
  mnist: {source: mnist, split: test, take: 60}
  train: {source: mnist, split: train}
models:
  cnn-pgd:
    kind: classifier
    arch: cnn-small
    train: {recipe: adversarial, data: train, epsilon: 0.3, steps: 10, epochs: 20, learning_rate: 5e-3, warm_up: 0.4}
evaluations:
  near:
    kind: robustness
    models: [cnn-pgd]
    data: mnist
    threat: {norm: NORM, epsilon: EPSILON}
    attacks: [{pgd: {steps: 12, restarts: 2}, as: pgd}]
"""


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.33), ("l2", 3.5)])
def test_flags_are_the_same_at_batch_sizes_1_7_and_500(tmp_path: Path, norm: str, epsilon: float) -> None:
    """At radii where about half of the images break, so that many lie near the boundary."""
    suite = tmp_path / "batches.yaml"
    suite.write_text(SUITE.replace("NORM", norm).replace("EPSILON", str(epsilon)))
    tables = []
    for size in (1, 7, 500):
        out = tmp_path / str(size)
        done = bench.run(suite, out=out, store=out / "store", device="cpu", executor="inline", batch_size=size)
        assert {row.status for row in done.rows} == {"ok"}
        assert done.states["train/cnn-pgd/0"].origin == "zoo"
        tables.append(pd.read_csv(out / "outcomes.csv"))
    broken = tables[-1].broken
    assert 0.1 < broken.mean() < 0.9
    for table in tables[:-1]:
        assert table.broken.tolist() == broken.tolist()
        assert (table.margin - tables[-1].margin).abs().max() < 1e-4
