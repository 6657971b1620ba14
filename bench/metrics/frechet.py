"""The Frechet distance between Gaussians fitted to two sets of features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from bench.errors import MetricError


class _Features(nn.Module):
    """Hands features through to torchmetrics as if a network had made them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count

    def forward(self, features: Tensor) -> Tensor:
        return features


def distance(features_a: Tensor, features_b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), in float64, by torchmetrics.

    Two n-samples of one law in d dimensions are not at distance 0: their expected distance is about
    (2 d + d (d + 1) / 2) / n, so compare only figures of equal n.

    Args:
        features_a: Shape (n, d), n at least 2.
        features_b: Shape (m, d), m at least 2.

    Raises:
        MetricError: Other shapes, too few samples, or values that are not finite.

    Source: Heusel et al. 2017, eq. 6.

    >>> a = torch.tensor([[0.0], [2.0]])
    >>> round(distance(a, a + 3.0), 6)
    9.0
    """
    for features in (features_a, features_b):
        if features.ndim != 2 or len(features) < 2:
            raise MetricError(f"expected features of shape (n, d) with n at least 2, found {tuple(features.shape)}")
        if not bool(torch.isfinite(features).all()):
            raise MetricError("features hold NaN or infinite values")
    if features_a.shape[1] != features_b.shape[1]:
        raise MetricError(f"features differ in width: {features_a.shape[1]} and {features_b.shape[1]}")
    metric = FrechetInceptionDistance(feature=_Features(features_a.shape[1]), normalize=True)
    metric = metric.to(features_a.device)
    metric.update(features_a.double(), real=True)
    metric.update(features_b.double(), real=False)
    return max(0.0, float(metric.compute()))


def frechet(samples: Tensor, reference: Tensor, *, features: Callable[[Tensor], Tensor] | None) -> dict[str, float]:
    """The row of the `frechet` metric: the distance between features of samples and of data.

    Args:
        samples: Shape (n, ...).
        reference: Shape (m, ...).
        features: Samples to features (n, d); None compares the flattened samples.
    """
    network = features or (lambda x: x.flatten(1))
    with torch.inference_mode():
        parts = [
            torch.cat([network(x[start : start + 500]) for start in range(0, len(x), 500)])
            for x in (samples, reference)
        ]
    return {"frechet": distance(parts[0], parts[1])}
