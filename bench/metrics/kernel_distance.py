"""The kernel distance: a squared maximum mean discrepancy, which has no bias."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.errors import MetricError
from bench.metrics.features import Network, check_features, features_of
from bench.metrics.measured import Measured

BLOCK = 2000
"""Rows of a kernel matrix in memory at once."""


def distance(features_a: Tensor, features_b: Tensor) -> float:
    """The unbiased squared discrepancy under the kernel (x.y / d + 1)^3, in float64; it may fall below 0.

    It is taken over all samples, where the published figure is a mean over random subsets of 1,000, see `of_subsets`:
    the same expectation with less noise, and nothing random about it.

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


class Subsets(NamedTuple):
    """Distances between random subsets.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation, which says nothing of the samples that were not drawn.
    """

    mean: float
    deviation: float


def of_subsets(
    features_a: Tensor, features_b: Tensor, *, subsets: int, size: int, generator: torch.Generator
) -> Subsets:
    """The mean of the distances between random subsets, as the kernel inception distance is published.

    Args:
        features_a: Shape (n, d).
        features_b: Shape (m, d).
        subsets: How many pairs of subsets.
        size: Features of each subset, drawn without replacement.
        generator: Draws a subset of `features_a`, then one of `features_b`, and so on; on the CPU.

    Raises:
        MetricError: Other shapes, fewer features than `size`, or values that are not finite.

    Source: Binkowski, Sutherland, Arbel, Gretton 2018, section 4.
    """
    check_features(features_a, features_b)
    if min(len(features_a), len(features_b)) < size:
        raise MetricError(
            f"subsets of {size:,} need as many samples; there are {len(features_a):,} and {len(features_b):,} real "
            f"ones: lower `subset_size`, or set `subsets` to 0 for all of them at once"
        )
    found = []
    for _ in range(subsets):
        parts = [
            features[torch.randperm(len(features), generator=generator)[:size].to(features.device)]
            for features in (features_a, features_b)
        ]
        found.append(distance(*parts))
    values = torch.tensor(found, dtype=torch.float64)
    return Subsets(float(values.mean()), float(values.std(unbiased=False)))


def _kernel(products: Tensor, width: int) -> Tensor:
    return (products / width + 1) ** 3


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the kernel over all pairs."""
    return torch.stack([_kernel(part @ b.T, a.shape[1]).sum() for part in torch.split(a, BLOCK)]).sum()


def kernel_distance(
    samples: Tensor, reference: Tensor, *, features: Network | None, subsets: int, subset_size: int
) -> Measured:
    """The row of the `kernel_distance` metric; the same subsets are drawn for all samples."""
    drawn, real = features_of(samples, features), features_of(reference, features)
    if not subsets:
        return Measured({"kernel_distance": distance(drawn, real)})
    found = of_subsets(drawn, real, subsets=subsets, size=subset_size, generator=torch.Generator().manual_seed(0))
    note = f"mean of {subsets:,} subsets of {subset_size:,}, whose standard deviation is {found.deviation:.3g}"
    return Measured({"kernel_distance": found.mean}, note=note)
