"""The kernel distance: a squared maximum mean discrepancy, which has no bias."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.features import Network, check_features, features_of

BLOCK = 2000
"""Rows of a kernel matrix in memory at once."""


def distance(features_a: Tensor, features_b: Tensor) -> float:
    """The unbiased squared discrepancy under the kernel (x.y / d + 1)^3, in float64; it may fall below 0.

    It is taken over all samples, where the published figure is a mean over random subsets of 1,000: the same
    expectation with less noise, and nothing random about it.

    Args:
        features_a: Shape (n, d), n at least 2.
        features_b: Shape (m, d), m at least 2.

    Raises:
        MetricError: Other shapes, too few samples, or values that are not finite.

    Source: Binkowski, Sutherland, Arbel, Gretton 2018, section 4.

    >>> a = torch.tensor([[0.0], [2.0]])
    >>> distance(a, a)
    -62.0
    """
    check_features(features_a, features_b)
    a, b = features_a.double(), features_b.double()
    n, m = len(a), len(b)
    within = (_sum(a, a) - _kernel((a * a).sum(1), a.shape[1]).sum()) / (n * (n - 1))
    across = (_sum(b, b) - _kernel((b * b).sum(1), b.shape[1]).sum()) / (m * (m - 1))
    return float(within + across - 2 * _sum(a, b) / (n * m))


def _kernel(products: Tensor, width: int) -> Tensor:
    return (products / width + 1) ** 3


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the kernel over all pairs."""
    return torch.stack([_kernel(part @ b.T, a.shape[1]).sum() for part in torch.split(a, BLOCK)]).sum()


def kernel_distance(samples: Tensor, reference: Tensor, *, features: Network | None) -> dict[str, float]:
    """The row of the `kernel_distance` metric."""
    return {"kernel_distance": distance(features_of(samples, features), features_of(reference, features))}
