"""Intervals against SciPy's own and against simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.stats

from bench.results import statistics
from tests.conftest import TOY_SUITE

if TYPE_CHECKING:
    from tests.conftest import Workshop


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 17), (500, 1000), (4321, 10_000)])
def test_wilson_agrees_with_scipy(successes, n) -> None:
    low, high = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    ours = statistics.wilson(successes, n)
    assert (ours.low, ours.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert ours.low <= ours.value <= ours.high


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 17), (500, 1000), (4321, 10_000)])
def test_clopper_pearson_agrees_with_scipy(successes: int, n: int) -> None:
    low, high = scipy.stats.binomtest(successes, n).proportion_ci(method="exact")
    ours = statistics.clopper_pearson(successes, n)
    assert (ours.value, ours.low, ours.high) == pytest.approx((successes / n, low, high), abs=1e-12)


def test_a_suite_can_ask_for_exact_intervals(toy: Workshop) -> None:
    """They are wider than Wilson's, at the same figure."""
    rows = {
        name: toy.rows(toy.run(TOY_SUITE + f"intervals: {name}\n", out=toy.folder / name)) for name in statistics.SHARES
    }
    wilson, exact = (rows[name]["wb/lin/worst-case/linf-0.1/robust_accuracy"] for name in ("wilson", "clopper-pearson"))
    assert wilson.value == exact.value
    assert (exact.low, exact.high) == statistics.clopper_pearson(round(40 * exact.value), 40)[1:]
    assert exact.high - exact.low > wilson.high - wilson.low


def test_the_protocols_figures() -> None:
    """43.21 % of 10,000 has the interval 42.24 to 44.18, as computed for RobustBench's table."""
    ours = statistics.wilson(4321, 10_000)
    assert (round(100 * ours.low, 2), round(100 * ours.high, 2)) == (42.24, 44.18)


def test_means_agree_with_scipy() -> None:
    values = [0.3, 0.9, 0.4, 0.55]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    assert statistics.mean(values)[1:] == (pytest.approx(low), pytest.approx(high))


def test_intervals_cover_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    shares = [statistics.wilson(k, 200) for k in random.binomial(200, 0.9, 4000)]
    assert np.mean([part.low <= 0.9 <= part.high for part in shares]) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval() -> None:
    value, low, high = statistics.mean([2.5])
    assert value == 2.5
    assert math.isnan(low)
    assert math.isnan(high)
    assert all(math.isnan(part) for part in statistics.wilson(0, 0))


def test_samples_choose_their_interval() -> None:
    interval, n = statistics.of_samples([1, 0, 1, math.nan])
    assert (interval, n) == (statistics.wilson(2, 3), 3)
    interval, n = statistics.of_samples([0.25, 0.75])
    assert (interval, n) == (statistics.mean([0.25, 0.75]), 2)
