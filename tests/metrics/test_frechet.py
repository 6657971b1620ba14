"""The Frechet distance against its closed form and its bias."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

import bench
from bench.errors import MetricError
from bench.metrics.frechet import bias, distance, frechet, root_trace


def test_the_closed_form_for_given_moments() -> None:
    """Samples whose mean and covariance are exactly those wanted."""
    generator = torch.Generator().manual_seed(0)

    def exact(mean: np.ndarray, covariance: np.ndarray, count: int = 50) -> torch.Tensor:
        raw = torch.randn(count, len(mean), generator=generator, dtype=torch.float64).numpy()
        raw -= raw.mean(0)
        white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
        return torch.from_numpy(white @ np.linalg.cholesky(covariance).T + mean)

    a, b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 0.25])
    expected = 14.0 + (np.sqrt(np.diag(a)) - np.sqrt(np.diag(b))).__pow__(2).sum()
    assert distance(exact(np.array([1.0, 2.0, 3.0]), a), exact(np.zeros(3), b)) == pytest.approx(expected, rel=1e-9)
    c = np.array([[2.0, 0.8, 0.1], [0.8, 1.0, -0.3], [0.1, -0.3, 3.0]])
    root = scipy.linalg.sqrtm(a @ c).real
    assert distance(exact(np.zeros(3), a), exact(np.zeros(3), c)) == pytest.approx(np.trace(a + c - 2 * root), rel=1e-7)


def test_the_bias_of_two_samples_of_one_law() -> None:
    """E of two n-samples of N(0, I_d) is about (2 d + d (d + 1) / 2) / n: 2.208 at d = 64, n = 1,000."""
    generator = torch.Generator().manual_seed(1)
    draws = [
        distance(torch.randn(1000, 64, generator=generator), torch.randn(1000, 64, generator=generator))
        for _ in range(20)
    ]
    assert np.mean(draws) == pytest.approx(2.208, rel=0.03)
    assert bias(torch.ones(64), 1000, 1000) == pytest.approx(2.208)


@pytest.mark.parametrize(
    ("n", "m", "width"), [(400, 300, 60), (40, 300, 60), (300, 40, 60), (30, 20, 60), (60, 61, 60)]
)
def test_it_is_that_of_torchmetrics(n, m, width) -> None:
    """Also where there are fewer samples than dimensions, and the covariances have no full rank."""
    generator = torch.Generator().manual_seed(n)
    mix = torch.randn(width, width, generator=generator) / width**0.5
    a, b = torch.randn(n, width, generator=generator) @ mix, torch.rand(m, width, generator=generator)
    metric = FrechetInceptionDistance(feature=Handed(width), normalize=True)
    metric.update(a.double(), real=True)
    metric.update(b.double(), real=False)
    assert distance(a, b) == pytest.approx(float(metric.compute()), rel=1e-5)


class Handed(torch.nn.Module):
    """Hands features through to torchmetrics as if a network had made them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def spread(count: int, width: int, seed: int) -> torch.Tensor:
    """Samples with a spectrum that falls, as those of networks' features do."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, width + 1, dtype=torch.float64) ** -0.5
    return torch.randn(count, width, generator=generator, dtype=torch.float64) * scale / count**0.5


def test_the_root_is_scipys_and_several_times_faster() -> None:
    """2,048 dimensions, as Inception has; scipy's root is of the product, which is not symmetric."""
    a, b = spread(2500, 2048, 0), spread(2500, 2048, 1)
    started = time.perf_counter()
    found = float(root_trace(a, b))
    ours = time.perf_counter() - started
    started = time.perf_counter()
    root = scipy.linalg.sqrtm((a.T @ a @ (b.T @ b)).numpy())
    theirs = time.perf_counter() - started
    assert found == pytest.approx(float(np.trace(root).real), rel=1e-6)
    assert theirs > 4 * ours


def test_a_collapsed_generator_gives_a_finite_distance() -> None:
    real = torch.randn(200, 8, generator=torch.Generator().manual_seed(2))
    found = distance(torch.ones(200, 8), real)
    assert found == pytest.approx(float((real.mean(0) - 1).square().sum() + real.var(0).sum()), rel=1e-4)


def test_a_set_is_at_distance_zero_of_itself() -> None:
    x = torch.randn(500, 8, generator=torch.Generator().manual_seed(3))
    assert distance(x, x) == pytest.approx(0.0, abs=1e-6)
    assert distance(x, x) >= 0


def test_features_are_taken_batch_by_batch() -> None:
    x, y = torch.rand(1203, 1, 4, 4), torch.rand(700, 1, 4, 4)
    seen = []

    def network(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return batch.flatten(1)[:, :3]

    found = frechet(x, y, features=network)["frechet"]
    assert found == pytest.approx(distance(x.flatten(1)[:, :3], y.flatten(1)[:, :3]), rel=1e-9)
    assert max(seen) <= 500
    assert sum(seen) == 1903


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), r"n at least 2, found \(1, 3\)"),
        (torch.zeros(5, 3), torch.zeros(5), r"found \(5,\)"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "features differ in width: 3 and 4"),
        (torch.full((5, 3), torch.nan), torch.zeros(5, 3), "NaN or infinite"),
    ],
)
def test_wrong_features_get_a_sentence(a, b, sentence) -> None:
    with pytest.raises(MetricError, match=sentence):
        bench.metrics.frechet.distance(a, b)
