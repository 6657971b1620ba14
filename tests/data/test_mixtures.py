"""The mixtures of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data import DATA, describe, load_named
from bench.data.mixtures import modes_of


@pytest.mark.parametrize(("name", "modes", "deviation"), [("grid25", 25, 0.05), ("ring8", 8, 0.01)])
def test_points_lie_around_equally_likely_modes(name: str, modes: int, deviation: float) -> None:
    samples = load_named(name, samples=50_000)
    assert samples.y is not None
    counts = np.bincount(samples.y)
    assert len(counts) == modes
    expected = 50_000 / modes
    assert np.abs(counts - expected).max() < 5 * expected**0.5
    residue = samples.inputs() - modes_of(name).centres[samples.y]
    assert residue.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(residue.mean(0)).max() < 5 * deviation / 50_000**0.5


def test_modes_are_where_the_papers_have_them() -> None:
    assert {tuple(centre) for centre in modes_of("grid25").centres} == {
        (a, b) for a in (-4.0, -2.0, 0.0, 2.0, 4.0) for b in (-4.0, -2.0, 0.0, 2.0, 4.0)
    }
    assert np.linalg.norm(modes_of("ring8").centres, axis=1) == pytest.approx(1.0)


def test_the_seed_decides_the_points() -> None:
    first, again, other = (load_named("grid25", samples=100, seed=seed).x for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_the_fingerprint_follows_what_the_points_follow() -> None:
    options = DATA["grid25"].options
    names = {
        describe("d", source, options(samples=count, seed=seed)).fingerprint
        for source in ("grid25", "ring8")
        for count in (10, 20)
        for seed in (0, 1)
    }
    assert len(names) == 8
    taken = options(samples=10, take=5, skip=2)
    assert describe("d", "grid25", taken).fingerprint in names
