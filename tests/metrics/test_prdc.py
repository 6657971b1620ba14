"""Precision, recall, density and coverage against their definitions, one pair at a time."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from bench.errors import MetricError
from bench.metrics import prdc
from bench.metrics.prdc import compare


def drawn(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + shift


def by_definition(samples: Tensor, real: Tensor, k: int) -> tuple[float, float, float, float]:
    def apart(a: Tensor, b: Tensor) -> float:
        return float((a - b).double().square().sum().sqrt())

    def radius(points: Tensor, index: int) -> float:
        return sorted(apart(points[index], other) for place, other in enumerate(points) if place != index)[k - 1]

    real_radii = [radius(real, index) for index in range(len(real))]
    own_radii = [radius(samples, index) for index in range(len(samples))]
    near = [[apart(true, one) < reach for true, reach in zip(real, real_radii, strict=True)] for one in samples]
    precision = sum(any(row) for row in near) / len(samples)
    density = sum(map(sum, near)) / len(samples) / k
    recall = sum(any(apart(true, one) < reach for one, reach in zip(samples, own_radii, strict=True)) for true in real)
    covered = sum(
        any(apart(true, one) < reach for one in samples) for true, reach in zip(real, real_radii, strict=True)
    )
    return precision, recall / len(real), density, covered / len(real)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("width", [2, 70])
def test_they_are_their_definitions(k, width, monkeypatch) -> None:
    monkeypatch.setattr(prdc, "BLOCK", 7)
    samples, real = drawn(20, width, 0, 0.4), drawn(30, width, 1)
    found = compare(samples, real, k=k)
    expected = by_definition(samples, real, k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected)
    assert 0 < found.coverage < 1, "the case must hold both outcomes to mean something"


def plainly(samples: Tensor, real: Tensor, k: int) -> tuple[float, float, float, float]:
    """The same from whole matrices of distances: memory and time of all pairs."""

    def apart(a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

    # what lies on a ball's surface is in or out by the rounding of the coordinates, which start at the data's mean
    centre = real.double().mean(0)
    samples, real = samples.double() - centre, real.double() - centre
    between = apart(real, samples)
    reach_real, reach_drawn = (apart(x, x).kthvalue(k + 1, dim=1).values for x in (real, samples))
    near = between < reach_real[:, None]
    shares = (near.any(0), (between < reach_drawn).any(1), near.any(1))
    precision, recall, coverage = (float(share.double().mean()) for share in shares)
    return precision, recall, float(near.double().sum(0).mean()) / k, coverage


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("width", [1, 2, 8, 9, 64])
def test_neighbours_are_those_of_all_pairs(width, k, monkeypatch) -> None:
    monkeypatch.setattr(prdc, "DISTANCES", 5000)
    samples, real = drawn(400, width, 0, 0.2), drawn(700, width, 1)
    for few, many in ((samples, real), (real, samples), (real[:300], real), (samples.round(), real.round())):
        found = compare(few, many, k=k)
        expected = plainly(few, many, k)
        assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected, abs=1e-12)


def test_points_cost_far_less_than_all_pairs() -> None:
    samples, real = drawn(200, 2, 0), drawn(6000, 2, 1)
    spent = []
    for measure in (lambda: plainly(samples, real, 5), lambda: compare(samples, real)):
        start = time.process_time()
        measure()
        spent.append(time.process_time() - start)
    assert spent[0] > 5 * spent[1], "seconds of all pairs, and of this"


@pytest.mark.parametrize("width", [2, 9])
def test_no_more_distances_are_held_than_allowed(width, monkeypatch) -> None:
    monkeypatch.setattr(prdc, "DISTANCES", 10_000)
    held, whole = [], prdc._distances

    def watched(a: Tensor, b: Tensor) -> Tensor:
        distances = whole(a, b)
        held.append(distances.numel())
        return distances

    monkeypatch.setattr(prdc, "_distances", watched)
    compare(drawn(900, width, 0), drawn(2500, width, 1))
    assert max(held) <= 10_000


@pytest.mark.parametrize("width", [2, 100, 2048])
def test_a_set_has_all_of_itself(width) -> None:
    x = drawn(300, width, 2)
    found = compare(x, x)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


def test_two_samples_of_one_law() -> None:
    """Each of k + 1 points around a real one, itself aside, is as likely a sample as a real one: coverage 1 - 1/2^k."""
    found = [compare(drawn(1500, 8, 2 * seed), drawn(1500, 8, 2 * seed + 1), k=3) for seed in range(4)]
    assert sum(each.coverage for each in found) / 4 == pytest.approx(1 - 0.5**3, abs=0.015)
    assert sum(each.density for each in found) / 4 == pytest.approx(1, abs=0.05)


def test_collapse_and_strangers_show() -> None:
    real = drawn(400, 4, 3)
    collapsed = compare(real[:1] + 1e-3 * drawn(400, 4, 4), real)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.05
    assert collapsed.coverage < 0.1
    far = compare(real + 100, real)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    one_point = compare(torch.zeros(400, 4), real)
    assert one_point.recall == 0, "copies of one point have neighbourhoods without extent"


def test_too_few_samples() -> None:
    with pytest.raises(MetricError, match="n at least 6, found"):
        compare(drawn(5, 2, 0), drawn(50, 2, 0))
    with pytest.raises(MetricError, match="the 5-th neighbour needs more than 5 samples; there are 5 and 50 real ones"):
        prdc.prdc(drawn(5, 2, 0), drawn(50, 2, 0), features=None, k=5)
