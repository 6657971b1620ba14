"""The workflow of docs/ci.md, followed to the letter: a clone, a restored store, a run, a gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Workshop, toy_arrays

SUITE = """
suite: mine
data: {test: {source: npz, path: toy.npz}}
models: {ours: {kind: classifier, load: "mine_models:build", args: {checkpoint: weights/best.pt}}}
evaluations:
  whitebox:
    kind: robustness
    models: [ours]
    data: test
    threat: {norm: linf, epsilon: 0.1}
    attacks: [fgsm, {pgd: {steps: 3}}]
"""
MODELS = """
import torch
from mine_helper import SHIFT
from torch import nn


def build(checkpoint):
    model = nn.Linear(4, 2)
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.bias.data += torch.tensor([SHIFT, -SHIFT])
    return model
"""


class Pipeline:
    """A repository whose every check starts from a clone, with the store of the check before it."""

    def __init__(self, root: Path) -> None:
        self.repository, self.cache, self.clones = root / "repository", root / "cache", 0
        (self.repository / "weights").mkdir(parents=True)
        import numpy as np

        x, y = toy_arrays(300)
        np.savez(self.repository / "toy.npz", x=x, y=y)
        (self.repository / "suite.yaml").write_text(SUITE)
        (self.repository / "mine_models.py").write_text(MODELS)
        (self.repository / "mine_helper.py").write_text("SHIFT = 0.0\n")
        self.weights(2.0)

    def weights(self, bias: float) -> None:
        weight = torch.tensor([[-4.0, 0, 0, 0], [4.0, 0, 0, 0]])
        torch.save({"weight": weight, "bias": torch.tensor([bias, -bias])}, self.repository / "weights" / "best.pt")

    def check(self) -> tuple[int, int, str]:
        """Clone, restore the store, run and gate: jobs that were done, the gate's exit code, and what it said."""
        self.clones += 1
        clone = self.repository.with_name(f"clone-{self.clones}")
        shutil.copytree(self.repository, clone)
        if self.cache.exists():
            shutil.copytree(self.cache, clone / "reports" / ".store")
        shop = Workshop(clone)
        ran = shop.shell("run", "suite.yaml", "--set", "data.test.take=200", "--device", "cpu", "--out", "run")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        if not (self.repository / "baselines").exists():
            assert shop.shell("baseline", "run").returncode == 0
            shutil.copytree(clone / "baselines", self.repository / "baselines")
        gated = shop.shell("gate", "run", "--junit", "run/gate.xml")
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.copytree(clone / "reports" / ".store", self.cache)
        return len(shop.journal("queued", "run")), gated.returncode, gated.stdout


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    made = Pipeline(tmp_path)
    assert made.check()[:2] == (5, 0)
    assert made.check()[:2] == (0, 0), "an unchanged project in another folder is all cached"
    return made


BREAKS: dict[str, Callable[[Pipeline], object]] = {
    "checkpoint": lambda made: made.weights(3.0),
    "helper": lambda made: (made.repository / "mine_helper.py").write_text("SHIFT = 0.9\n"),
    "model": lambda made: (made.repository / "mine_models.py").write_text(
        MODELS.replace("return model", "return nn.Sequential(nn.Hardtanh(0.0, 0.4), model)")
    ),
}


def test_a_broken_model_does_not_pass(pipeline: Pipeline) -> None:
    for what, damage in BREAKS.items():
        kept = {path: path.read_bytes() for path in pipeline.repository.rglob("*") if path.is_file()}
        damage(pipeline)
        done, code, said = pipeline.check()
        assert (what, done, code) == (what, 5, 1), said
        assert "regression" in said
        for path, content in kept.items():
            path.write_bytes(content)
        assert pipeline.check()[:2] == (0, 0), "what was there before is reused"
