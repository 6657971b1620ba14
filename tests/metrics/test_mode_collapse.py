"""The mode-collapse region of samples from a mixture, from closed forms and real points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.data.mixtures import draw, modes_of
from bench.errors import MetricError
from bench.metrics.collapse import expected_distance
from bench.metrics.mode_collapse import mode_collapse, outcomes

GRID = modes_of("grid25")
OUTSIDE = math.exp(-4.5)
"""Share of a Gaussian in the plane that lies three deviations or more from its centre."""


def centres(*modes: int, each: int = 1, outside: int = 0) -> np.ndarray:
    """Points at the centres of some modes, and some that are nowhere near one."""
    return np.array([GRID.centres[mode] for mode in modes] * each + [[9.0, 9.0]] * outside).reshape(-1, 2)


def rows(points: np.ndarray, mixture: str = "grid25", radius: float = 3.0, packs: int = 4) -> dict[str, float]:
    return dict(mode_collapse(points, points, mixture=mixture, radius=radius, packs=packs).values)


@pytest.mark.parametrize("missed", [0, 1, 5, 24])
def test_a_generator_that_misses_k_of_25_modes(missed) -> None:
    """Its distance is k / 25, and of packs 1 - (1 - k / 25)^m: a pack of m tells when any of its points is missed."""
    found = rows(centres(*range(25 - missed), each=4), radius=20)
    assert found["total_variation"] == pytest.approx(missed / 25)
    for degree in (2, 3, 4):
        assert found[f"total_variation_{degree}"] == pytest.approx(1 - (1 - missed / 25) ** degree, abs=1e-9)


@pytest.mark.parametrize(("each", "outside", "share"), [(3, 0, 0.0), (3, 25, 0.25), (0, 10, 1.0)])
def test_points_near_no_mode_are_an_outcome_that_the_mixture_hardly_has(each, outside, share) -> None:
    points = centres(*range(25), each=each, outside=outside)
    p, q = outcomes(points, GRID)
    assert p[:25] == pytest.approx(GRID.shares * (1 - OUTSIDE))
    assert p[25] == pytest.approx(OUTSIDE), "real points lie outside too, that often"
    assert q[25] == pytest.approx(share)
    assert p.sum() == pytest.approx(1)
    assert rows(points)["total_variation"] == pytest.approx(abs(share - OUTSIDE))


def test_the_radius_is_that_of_the_mode_counts() -> None:
    p, q = outcomes(GRID.centres + np.array([0.17, 0.0]), GRID, radius=3.0)
    assert q[25] == 1
    p, q = outcomes(GRID.centres + np.array([0.17, 0.0]), GRID, radius=4.0)
    assert q[25] == 0
    assert p[25] == pytest.approx(math.exp(-8))


def test_real_points_are_as_far_as_their_number_leaves_them() -> None:
    p, _ = outcomes(GRID.centres, GRID)
    distances = [rows(draw(GRID, 2500, seed)[0], packs=2)["total_variation"] for seed in range(40)]
    expected = expected_distance(p, 2500)
    assert np.mean(distances) == pytest.approx(expected, rel=0.05)
    assert rows(draw(GRID, 400_000, 0)[0])["total_variation_4"] < 0.02, "nothing is left of it with many points"
    note = mode_collapse(draw(GRID, 2500, 0)[0], GRID.centres, mixture="grid25", radius=3.0, packs=2).note
    assert note == f"2,500 points of the data itself would be {expected:.3g} away on average (packs of one)"


def test_the_expected_distance_of_draws() -> None:
    assert expected_distance([1.0, 0.0], 10) == 0
    assert expected_distance([0.5, 0.5], 1) == pytest.approx(0.5)
    p, n = np.array([0.5, 0.3, 0.2]), 30
    found = np.abs(np.random.default_rng(0).multinomial(n, p, 200_000) / n - p).sum(1) / 2
    assert expected_distance(p, n) == pytest.approx(found.mean(), rel=0.01)


def test_uneven_modes_are_held_to_their_own_shares() -> None:
    doubled = modes_of("ring8-unrolled")
    even = np.repeat(doubled.centres, 4, axis=0)
    as_the_data = np.concatenate([even, np.repeat(doubled.centres[:1], 4, axis=0)])
    assert rows(as_the_data, "ring8-unrolled", radius=20)["total_variation"] == pytest.approx(0)
    assert rows(even, "ring8-unrolled", radius=20)["total_variation"] == pytest.approx(1 / 4 - 1 / 7)


def test_the_boundary_is_kept() -> None:
    found = mode_collapse(centres(*range(20)), GRID.centres, mixture="grid25", radius=20.0, packs=2)
    assert found.arrays["epsilon"] == pytest.approx([0, 0, 1])
    assert found.arrays["delta"] == pytest.approx([0, 0.2, 1]), "a fifth of the data is never drawn"
    assert list(found.values) == ["total_variation", "total_variation_2"]


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((3, 3)), np.full((3, 2), np.nan)])
def test_what_is_no_set_of_points(points) -> None:
    with pytest.raises(MetricError):
        rows(points)
