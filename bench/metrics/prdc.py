"""Precision, recall, density and coverage: which samples lie among the neighbours of which."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.errors import MetricError
from bench.metrics.features import Network, check_features, features_of

BLOCK = 1000
"""Rows of a matrix of distances in memory at once."""


@dataclass(frozen=True)
class Coverage:
    """How two sets of features cover each other.

    Attributes:
        precision: Share of the samples that lie within the neighbourhood of some real one, 0 to 1.
        recall: Share of the real ones that lie within the neighbourhood of some sample, 0 to 1.
        density: Mean number of real neighbourhoods a sample lies in, over k: 1 is expected of real samples.
        coverage: Share of the real neighbourhoods that hold a sample, 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def compare(samples: Tensor, real: Tensor, *, k: int = 5) -> Coverage:
    """Compare samples with real ones by neighbourhoods: balls as wide as the way to the k-th nearest of one's own set.

    A point lies in a ball when it is nearer than its radius, strictly: the ball of a point with k copies is empty.

    Args:
        samples: Features, shape (n, d), n above k.
        real: Features, shape (m, d), m above k.
        k: Which neighbour sets the radius.

    Raises:
        MetricError: Other shapes, too few samples, or values that are not finite.

    Source: Kynkaanniemi et al. 2019, eq. 2 (precision and recall); Naeem et al. 2020, section 3 (density, coverage).

    >>> line = torch.arange(8.0)[:, None]
    >>> compare(line, line, k=2)
    Coverage(precision=1.0, recall=1.0, density=0.625, coverage=1.0)
    """
    check_features(samples, real, least=k + 1)
    # distances do not change, and small numbers lose less in the products they are made from
    centre = real.double().mean(0)
    drawn, true = samples.double() - centre, real.double() - centre
    radius_drawn, radius_true = _radii(drawn, k), _radii(true, k)
    hits = drawn.new_zeros(len(drawn))
    recalled, covered = [], []
    for start in range(0, len(true), BLOCK):
        rows = slice(start, start + BLOCK)
        distance = _distances(true[rows], drawn)
        hits += (distance < radius_true[rows, None]).sum(0)
        recalled.append((distance < radius_drawn).any(1))
        covered.append(distance.amin(1) < radius_true[rows])
    return Coverage(
        precision=float((hits > 0).double().mean()),
        recall=float(torch.cat(recalled).double().mean()),
        density=float(hits.mean() / k),
        coverage=float(torch.cat(covered).double().mean()),
    )


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances, exact for few dimensions; of many, equal points come out within rounding of 0."""
    exact = a.shape[1] <= 64
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode)


def _radii(points: Tensor, k: int) -> Tensor:
    """The distance of each point to its k-th nearest other one, shape (n,)."""
    # the nearest of all is the point itself
    parts = [_distances(part, points).kthvalue(k + 1, dim=1).values for part in torch.split(points, BLOCK)]
    return torch.cat(parts)


def prdc(samples: Tensor, reference: Tensor, *, features: Network | None, k: int) -> dict[str, float]:
    """The rows of the `prdc` metric."""
    if min(len(samples), len(reference)) <= k:
        raise MetricError(
            f"the {k}-th neighbour needs more than {k} samples; there are {len(samples)} and {len(reference)} real ones"
        )
    found = compare(features_of(samples, features), features_of(reference, features), k=k)
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }
