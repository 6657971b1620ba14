"""Distances of packed distributions and mode-collapse regions, from closed forms and by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bench.errors import MetricError
from bench.metrics.collapse import collapse_region, packed_range, packed_total_variation, total_variation

MISSES_A_MODE = ([0.2, 0.8], [0.0, 1.0])
"""Uniform on [0, 1] against uniform on [0.2, 1]."""
UNEVEN = ([0.5, 0.5], [0.3, 0.7])
"""Uniform on [0, 1] against densities 0.6 on its first half, 1.4 on the second."""


@pytest.mark.parametrize(
    ("pair", "figures"),
    [
        (MISSES_A_MODE, [0.200, 0.360, 0.488, 0.590, 0.672, 0.738]),
        (UNEVEN, [0.200, 0.240, 0.284, 0.339, 0.341, 0.401]),
    ],
)
def test_the_papers_two_generators(pair, figures) -> None:
    assert [round(packed_total_variation(*pair, degree), 3) for degree in range(1, 7)] == pytest.approx(figures)


def draws(seed: int, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p, q = random.dirichlet(np.ones(atoms)), random.dirichlet(np.ones(atoms))
    q[0] = 0
    return p, q / q.sum()


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("atoms", [2, 3, 5])
def test_packs_one_by_one_give_the_same(degree, atoms) -> None:
    p, q = draws(degree, atoms)
    expected = sum(
        abs(math.prod(p[list(pack)]) - math.prod(q[list(pack)]))
        for pack in itertools.product(range(atoms), repeat=degree)
    )
    assert packed_total_variation(p, q, degree) == pytest.approx(expected / 2, abs=1e-12)


def test_splitting_atoms_changes_nothing() -> None:
    p, q = draws(1, 4)
    fine_p, fine_q = np.repeat(p / 50, 50), np.repeat(q / 50, 50)
    assert packed_total_variation(fine_p, fine_q, 5) == pytest.approx(packed_total_variation(p, q, 5), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_packing_never_brings_distributions_nearer_and_stays_in_its_range(seed) -> None:
    p, q = draws(seed, 4)
    distances = [packed_total_variation(p, q, degree) for degree in range(1, 5)]
    assert distances[0] == pytest.approx(total_variation(p, q))
    assert all(before <= after + 1e-12 for before, after in itertools.pairwise(distances))
    for degree, distance in enumerate(distances, 1):
        low, high = packed_range(distances[0], degree)
        assert low - 1e-9 <= distance <= high + 1e-9


def test_the_range_is_the_theorems() -> None:
    ranges = [packed_range(0.2, degree) for degree in (2, 3, 4)]
    assert [round(low, 3) for low, _ in ranges] == [0.2, 0.265, 0.296]
    assert [round(high, 3) for _, high in ranges] == [0.36, 0.488, 0.59]
    assert packed_range(0.0, 3) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_regions_boundary(seed) -> None:
    """Rising and concave from 0 to 1; its widest gap is the total variation; no set of atoms lies above it."""
    p, q = draws(seed, 6)
    epsilon, delta = collapse_region(p, q)
    assert (epsilon[0], delta[0]) == (0, 0)
    assert (epsilon[-1], delta[-1]) == pytest.approx((1, 1))
    assert np.max(delta - epsilon) == pytest.approx(total_variation(p, q))
    slopes = np.diff(delta) / np.maximum(np.diff(epsilon), 1e-300)
    assert (np.diff(slopes) <= 1e-9 * np.abs(slopes[:-1])).all()
    for size in range(7):
        for chosen in itertools.combinations(range(6), size):
            there = list(chosen)
            assert p[there].sum() <= np.interp(q[there].sum(), epsilon[1:], delta[1:]) + 1e-9


def test_equal_distributions_have_nothing_to_tell_apart() -> None:
    epsilon, delta = collapse_region([0.3, 0.7], [0.3, 0.7])
    assert np.allclose(epsilon, delta)
    assert packed_total_variation([0.3, 0.7], [0.3, 0.7], 50) == 0


@pytest.mark.parametrize(
    ("p", "q", "sentence"),
    [
        ([0.5, 0.5], [1.0], "over the same atoms"),
        ([0.5, 0.6], [0.5, 0.5], "sum to 1.1"),
        ([1.5, -0.5], [0.5, 0.5], "expected probabilities"),
        ([], [], "over the same atoms"),
    ],
)
def test_what_is_no_distribution(p, q, sentence) -> None:
    with pytest.raises(MetricError, match=sentence):
        total_variation(p, q)


def test_too_many_kinds_of_packs() -> None:
    p, q = draws(0, 60)
    with pytest.raises(MetricError, match="ask for a smaller degree"):
        packed_total_variation(p, q, 10)
