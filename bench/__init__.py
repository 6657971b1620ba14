"""Declarative robustness benchmarks for classifiers, autoencoders and GANs.

    import bench

    run = bench.run("suites/robustness.yaml")          # the same as the command
    run.leaderboard                                     # a pandas DataFrame

    attack = bench.attacks.create("pgd", norm="linf", epsilon=8/255, seed=0)
    result = attack(model, x, y)                        # x_adv, success, valid, forwards, backwards

    bench.metrics.modes.grid25(samples)                 # .modes, .high_quality, .reverse_kl
    bench.metrics.frechet.distance(features_a, features_b)

Importing this package does not import torch; the parts that need it do so when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench import attacks, data, metrics, models
    from bench.runner import run

__all__ = ["attacks", "data", "metrics", "models", "run"]


def __getattr__(name: str) -> Any:
    """Import a part only when it is asked for."""
    if name == "run":
        return importlib.import_module("bench.runner").run
    if name in __all__:
        return importlib.import_module(f"bench.{name}")
    raise AttributeError(f"module 'bench' has no attribute '{name}'")
