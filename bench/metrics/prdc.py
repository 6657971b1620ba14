"""Precision, recall, density and coverage: which samples lie among the neighbours of which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from bench.errors import MetricError
from bench.metrics.features import Network, check_features, features_of

BLOCK, DISTANCES = 1000, 1 << 24
"""Rows of a matrix of distances in memory at once, and its entries (134 MB): whichever is fewer."""
FEW = 8
"""Dimensions up to which a tree of the points is faster than all pairs."""


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

    A point lies in a ball when it is nearer than its radius, strictly: the ball of a point with k copies is empty. So
    all four are 0 of samples that equal data of one constant value; the authors' package `prdc` gives the same.

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
    recalled, covered = (torch.empty(len(true), dtype=torch.bool, device=true.device) for _ in range(2))
    for rows in _blocks(true, drawn):
        distance = _distances(true[rows], drawn)
        hits += (distance < radius_true[rows, None]).sum(0)
        recalled[rows] = (distance < radius_drawn).any(1)
        covered[rows] = distance.amin(1) < radius_true[rows]
        del distance  # before the next is made
    return Coverage(
        precision=float((hits > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(hits.mean() / k),
        coverage=float(covered.double().mean()),
    )


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances, exact for few dimensions; of many, equal points come out within rounding of 0."""
    exact = a.shape[1] <= 64
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode)


def _blocks(points: Tensor, others: Tensor) -> Iterator[slice]:
    """Rows of points whose distances to all others are held in memory together."""
    step = max(1, min(BLOCK, DISTANCES // len(others)))
    return (slice(start, start + step) for start in range(0, len(points), step))


def _radii(points: Tensor, k: int) -> Tensor:
    """The distance of each point to its k-th nearest other one, shape (n,)."""
    tree = cKDTree(points.cpu().numpy()) if points.shape[1] in range(1, FEW + 1) else None
    # written where they belong: small results kept between large blocks would keep the blocks' memory from being reused
    radii = points.new_empty(len(points))
    for rows in _blocks(points, points):
        if tree is None:
            near = _distances(points[rows], points).topk(k + 1, dim=1, largest=False, sorted=False).values
        else:
            found = torch.from_numpy(tree.query(points[rows].cpu().numpy(), k + 1)[1])
            # measured as all others are: a rounding apart, a point on a ball's surface would come to lie inside
            near = _distances(points[rows, None], points[found])[:, 0]
        # the nearest of all is the point itself
        radii[rows] = near.amax(1)
    return radii


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
