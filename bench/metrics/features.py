"""What metrics of sets of samples compare: the samples themselves, or what a network makes of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.errors import MetricError

Network = Callable[[Tensor], Tensor]

BATCH = 500
"""Samples given to a network at once."""


def features_of(samples: Tensor, network: Network | None) -> Tensor:
    """Features (n, d) of samples (n, ...), batch by batch; the flattened samples where there is no network."""
    if network is None:
        return samples.flatten(1)
    with torch.inference_mode():
        return torch.cat([network(part) for part in torch.split(samples, BATCH)])


def check_features(features_a: Tensor, features_b: Tensor, *, least: int = 2) -> None:
    """Complain about features that cannot be compared.

    Raises:
        MetricError: Other shapes than (n, d), fewer than `least` of them, or values that are not finite.
    """
    for features in (features_a, features_b):
        if features.ndim != 2 or len(features) < least:
            raise MetricError(
                f"expected features of shape (n, d) with n at least {least}, found {tuple(features.shape)}"
            )
        if not bool(torch.isfinite(features).all()):
            raise MetricError("features hold NaN or infinite values")
    if features_a.shape[1] != features_b.shape[1]:
        raise MetricError(f"features differ in width: {features_a.shape[1]} and {features_b.shape[1]}")
