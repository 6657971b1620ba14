"""The tests behind a gate, against SciPy, closed forms and published procedures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.results.paired import at_least, flips, holm, smallest_drop, welch, worsening


@given(tosses=st.integers(0, 300), share=st.floats(0, 1))
def test_the_exact_tail_is_that_of_scipy(tosses: int, share: float) -> None:
    count = round(share * tosses)
    assert at_least(count, tosses) == pytest.approx(scipy.stats.binom.sf(count - 1, tosses, 0.5), rel=1e-9, abs=1e-300)


def test_flips_of_yes_and_no() -> None:
    found = flips(worsening([1, 1, 0, 0, 1], [0, 0, 1, 0, 1]))
    assert (found.lost, found.gained, found.n, found.drop) == (2, 1, 5, pytest.approx(0.2))
    assert (found.p_drop, found.p_gain) == (0.5, 0.875)


def test_where_lower_is_better_the_signs_turn() -> None:
    assert flips(worsening([1.0, 3.0], [2.0, 2.5], higher_is_better=False)).drop == pytest.approx(0.25)


@pytest.mark.parametrize(("before", "now"), [([1], [1, 0]), ([], [])])
def test_other_samples_are_refused(before: list[int], now: list[int]) -> None:
    with pytest.raises(BenchError, match="the same samples"):
        worsening(before, now)


def test_the_smallest_drop_is_significant_and_the_next_smaller_is_not() -> None:
    for gained in (0, 1, 5, 20):
        lost = round(smallest_drop(gained, 1000) * 1000) + gained
        assert at_least(lost, lost + gained) <= 0.01 < at_least(lost - 1, lost - 1 + gained)


def test_few_samples_can_show_nothing() -> None:
    assert math.isnan(smallest_drop(0, 6))
    assert smallest_drop(0, 7) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    """Holm 1979: go up the ordered p-values, and stop at the first above level / (hypotheses left)."""
    level, rejected = 0.05, set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        if p_values[index] * (len(p_values) - rank) > level:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_welch_agrees_with_scipy() -> None:
    before, now = [24.1, 23.5, 24.8, 24.0], [22.9, 23.9, 22.0]
    wanted = scipy.stats.ttest_ind(before, now, equal_var=False, alternative="greater").pvalue
    assert welch(before, now) == pytest.approx((wanted, 1 - wanted))
    assert welch(now, before, higher_is_better=False) == pytest.approx((wanted, 1 - wanted))


def test_equal_trials_are_no_drop() -> None:
    assert welch([2.0, 2.0], [2.0, 2.0]) == (1.0, 1.0)
    assert welch([2.0, 2.0], [1.0, 1.0]) == (pytest.approx(1 / 6), 1.0), "one of six ways to share them out"


def test_the_last_bits_of_a_figure_are_no_drop() -> None:
    figures = np.linspace(1, 2, 200)
    assert flips(worsening(figures, figures * (1 - 1e-6))).lost == 0
    assert flips(worsening(figures, figures * (1 - 1e-4))).lost == 200
