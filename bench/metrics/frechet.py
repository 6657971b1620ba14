"""The Frechet distance between Gaussians fitted to two sets of features."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bench.metrics.features import Network, check_features, features_of


def distance(features_a: Tensor, features_b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), in float64.

    Two n-samples of one law in d dimensions are not at distance 0, see `bias`: compare only figures of equal n.

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
    check_features(features_a, features_b)
    return _apart(_centred(features_a), _centred(features_b))


def bias(variances: Tensor, n: int, m: int) -> float:
    """Roughly how far apart two samples of one normal law are, of n and m points.

    Args:
        variances: The eigenvalues of the law's covariance, shape (d,).
        n: Points of one sample.
        m: Points of the other.

    Returns:
        The expected distance to second order in the samples' deviations; too large where n or m is not far above d.
        For N(0, I) and n = m it is (2 d + d (d + 1) / 2) / n.

    >>> round(bias(torch.ones(16), 1000, 1000), 4)
    0.168
    """
    spread = variances.double().clamp_min(0)
    sums = (spread[:, None] + spread[None, :]).clamp_min(torch.finfo(torch.float64).tiny)
    of_means = spread.sum()
    of_covariances = (spread[:, None] * spread[None, :] / sums).sum() / 2 + spread.sum() / 4
    return float((of_means + of_covariances) * (1 / n + 1 / m))


class _Centred(NamedTuple):
    """Features in float64: their mean, and what is left divided so that its inner product is the covariance."""

    mean: Tensor
    spread: Tensor


def _centred(features: Tensor) -> _Centred:
    values = features.double()
    mean = values.mean(0)
    return _Centred(mean, (values - mean) / math.sqrt(len(values) - 1))


def _apart(a: _Centred, b: _Centred) -> float:
    traces = a.spread.square().sum() + b.spread.square().sum()
    gap = (a.mean - b.mean).square().sum()
    # the terms cancel where the samples are alike: what is left below 0 is rounding
    return max(0.0, float(gap + traces - 2 * root_trace(a.spread, b.spread)))


def root_trace(a: Tensor, b: Tensor) -> Tensor:
    """tr((A^T A B^T B)^(1/2)) for A of shape (n, d) and B of shape (m, d), float64.

    The eigenvalues are those of a symmetric matrix, so that no imaginary part can arise. Where a matrix has fewer rows
    than columns, as of few samples or a collapsed generator, it is the nuclear norm of A B^T, which needs no root of
    eigenvalues that are 0 but for rounding.
    """
    width = a.shape[1]
    if min(len(a), len(b)) >= width:
        covariance = a.T @ a
        root, failed = torch.linalg.cholesky_ex(covariance)
        if bool(failed):  # no full rank: slower, and takes eigenvalues that rounding made negative for 0
            squares, vectors = torch.linalg.eigh(covariance)
            root = vectors * squares.clamp_min(0).sqrt()
        other = b @ root
        roots: Tensor = torch.linalg.eigvalsh(other.T @ other).clamp_min(0).sqrt()
        return roots.sum()
    # A = Q R has the same product with anything from the right: R is at most as high as it is wide
    first, second = (torch.linalg.qr(each, mode="r").R if len(each) > width else each for each in (a, b))
    values = torch.linalg.svdvals(first @ second.T)
    return torch.as_tensor(values.sum())


def frechet(samples: Tensor, reference: Tensor, *, features: Network | None) -> dict[str, float]:
    """The row of the `frechet` metric: the distance between features of samples and of data.

    Args:
        samples: Shape (n, ...).
        reference: Shape (m, ...).
        features: Samples to features (n, d); None compares the flattened samples.

    Returns:
        `frechet`, and as `bias` what two samples of the data of these sizes would be apart.
    """
    drawn, real = features_of(samples, features), features_of(reference, features)
    check_features(drawn, real)
    of_drawn, of_real = _centred(drawn), _centred(real)
    variances = torch.linalg.eigvalsh(of_real.spread.T @ of_real.spread)
    return {"frechet": _apart(of_drawn, of_real), "bias": bias(variances, len(drawn), len(real))}
