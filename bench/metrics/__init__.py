"""Metrics, one family a file.

bench.metrics.modes.grid25(samples)                       # .modes, .high_quality, .reverse_kl
bench.metrics.frechet.distance(features_a, features_b)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from bench.metrics import auddc, classification, frechet, modes

__all__ = ["METRICS", "auddc", "classification", "frechet", "modes"]


def __getattr__(name: str) -> Any:
    """Import a family only when it is asked for."""
    if name in __all__:
        return importlib.import_module(f"bench.metrics.{name}")
    raise AttributeError(f"module 'bench.metrics' has no attribute '{name}'")
