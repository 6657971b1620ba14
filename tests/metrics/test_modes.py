"""Mode counts against closed forms and real data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.spatial.distance

import bench
from bench.data.mixtures import draw, modes_of
from bench.errors import MetricError
from bench.metrics.modes import coverage, grid25, jensen_shannon, reverse_kl, ring8


@pytest.mark.parametrize(("mixture", "count"), [("grid25", 25), ("ring8", 8)])
def test_real_points_reach_the_ceilings(mixture, count) -> None:
    """A two-dimensional Gaussian lies within three deviations with probability 1 - exp(-4.5) = 98.889 %.

    The reverse KL of n samples over K modes has expectation about (K - 1) / 2n.
    """
    modes = modes_of(mixture)
    found = [coverage(draw(modes, 2500, seed)[0], modes) for seed in range(40)]
    assert {result.modes for result in found} == {count}
    share = np.mean([result.high_quality for result in found])
    assert share == pytest.approx(1 - math.exp(-4.5), abs=4 * math.sqrt(0.011 * 0.989 / 100_000))
    assert all(abs(result.high_quality - 0.98889) < 0.01 for result in found)
    assert np.mean([result.reverse_kl for result in found]) == pytest.approx((count - 1) / 5000, rel=0.25)
    assert max(result.reverse_kl for result in found) < 0.01 + (count - 1) / 2500


def test_the_radius_is_three_deviations_and_strict() -> None:
    inside, outside = [0.0 + 3 * 0.05 - 1e-9, 0.0], [0.0, 3 * 0.05 + 1e-9]
    result = grid25([inside, outside, [2.0, 2.0]])
    assert (result.modes, result.high_quality) == (2, pytest.approx(2 / 3))
    assert result.counts.sum() == 2
    assert ring8([[1.0 + 0.029, 0.0], [1.0 + 0.031, 0.0]]).high_quality == 0.5


def test_a_collapsed_generator_gives_finite_values() -> None:
    one = grid25(np.zeros((100, 2)))
    assert (one.modes, one.high_quality) == (1, 1.0)
    assert one.reverse_kl == pytest.approx(math.log(25))
    none = grid25(np.full((100, 2), 1.0))
    assert (none.modes, none.high_quality) == (0, 0.0)
    assert none.reverse_kl == pytest.approx(math.log(25))


def test_reverse_kl_is_entropy_below_uniform() -> None:
    counts = np.array([10, 20, 30, 40])
    shares = counts / 100
    assert reverse_kl(counts) == pytest.approx(math.log(4) + (shares * np.log(shares)).sum())


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(4)])
def test_other_shapes_are_refused(points) -> None:
    with pytest.raises(MetricError, match=r"expected points of shape \(n, 2\), found"):
        grid25(points)


def test_points_that_are_not_finite_are_refused() -> None:
    with pytest.raises(MetricError, match="1 of 2 points are NaN or infinite"):
        grid25([[0.0, 0.0], [math.nan, 1.0]])


def test_the_python_side() -> None:
    assert bench.metrics.modes.grid25([[0.0, 0.0]]).modes == 1


def test_the_published_variants_and_their_quirks() -> None:
    doubled = modes_of("ring8-unrolled")
    assert len(doubled.centres) == 7, "the eighth lies on the first"
    assert doubled.shares.tolist() == [0.25] + [0.125] * 6
    points, which = draw(doubled, 4000, 0)
    assert np.bincount(which)[0] / 4000 == pytest.approx(0.25, abs=0.02)
    assert coverage(points, doubled).reverse_kl < 0.01
    assert reverse_kl([1] * 7, doubled.shares) > 0.02, "an even histogram is not the target"
    small, whole = modes_of("grid25-wgan"), modes_of("grid25")
    assert np.allclose(small.centres * 2.828, whole.centres)
    assert small.deviation == pytest.approx(0.05 / 2.828)
    ring = modes_of("ring8-wgan")
    assert np.allclose(np.linalg.norm(ring.centres, axis=1), 2 / 1.414)
    assert all(modes_of(name).shares.sum() == pytest.approx(1) for name in ("grid25", "ring8", "ring8-wgan"))


def test_other_definitions_of_a_mode() -> None:
    modes = modes_of("grid25")
    points = [[0.0, 0.0], [0.17, 0.0], [2.0, 2.0], [2.0, 2.01], [1.0, 1.0]]
    assert coverage(points, modes).modes == 2
    assert coverage(points, modes, least=2).modes == 1
    assert coverage(points, modes, radius=4).high_quality == pytest.approx(0.8)
    found = coverage(points, modes)
    assert found.counts.sum() == 3
    assert found.counts_all.sum() == 5, "points far from any mode count for the nearest"


def test_the_jensen_shannon_divergence() -> None:
    assert jensen_shannon([1, 1, 1, 1]) == 0
    assert jensen_shannon([0, 0]) == pytest.approx(math.log(2)), "nothing to compare is as bad as it gets"
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    expected = scipy.spatial.distance.jensenshannon(p, q) ** 2
    assert jensen_shannon(p * 100, q) == pytest.approx(expected)
