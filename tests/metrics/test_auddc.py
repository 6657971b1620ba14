"""The area under the distortion-distortion curve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.metrics.auddc import auddc


def test_a_straight_line_has_half_the_square_below_it() -> None:
    x = np.linspace(0, 1, 11)
    assert auddc(x, 1 - x) == pytest.approx(0.5)


def test_order_does_not_matter_and_points_beyond_one_are_left_out() -> None:
    x, y = [1.5, 0.5, 0.0], [-9.0, 0.2, 1.0]
    # trapezoid from 0 to 0.5, then level at the lowest kept value up to 1
    assert auddc(x, y) == pytest.approx(0.5 * (1.0 + 0.2) / 2 + 0.5 * 0.2)
    assert auddc(x[::-1], y[::-1]) == pytest.approx(auddc(x, y))


def test_the_curve_closes_at_its_lowest_value() -> None:
    """The last kept point lies above an earlier one: the curve drops to the minimum there, without area."""
    assert auddc([0.0, 0.4, 0.6], [1.0, 0.1, 0.3]) == pytest.approx(0.4 * 0.55 + 0.2 * 0.2 + 0.4 * 0.1)


def test_no_point_in_range_gives_no_figure() -> None:
    assert math.isnan(auddc([1.2], [0.3]))
