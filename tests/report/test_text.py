"""How numbers are written on the page."""

from __future__ import annotations

from typing import Any

import pytest

from bench.report.page import _environment
from bench.report.redirected import Moved, Pair, Sheet
from bench.report.text import between, figure

WRITTEN = [
    (0.0, "0"),
    (1.5e-300, "1.5e−300"),
    (-9.9994e-5, "−9.999e−5"),
    (1e-4, "0.0001"),
    (0.123456, "0.1235"),
    (-12.0, "−12"),
    (999.96, "1000"),
    (12_345.6, "12,346"),
    (999_999.4, "999,999"),
    (1e6, "1e6"),
    (1_234_567.0, "1.235e6"),
    (-3.21987e60, "−3.22e60"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_large_and_small_figures_are_written_with_an_exponent(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0264912, "0.0265"),
        (99.96, "100"),
        (123.4, "123"),
        (999.6, "1,000"),
        (400_000.0, "400,000"),
        (2.346e9, "2.35e9"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert figure(value, 3) == text


def test_intervals_follow() -> None:
    assert between(-2e60, 1e-9) == "[−2e60, 1e−9]"


def test_the_leaderboard_of_the_page_writes_them_alike(paper: Any, browser: Any) -> None:
    shown = dict(enumerate(WRITTEN))
    rows = paper.changed(lambda place, _: {
        "status": "ok", "message": "", "metric": "jsd", "value": shown.get(place, (1.0, ""))[0],
    })  # fmt: skip
    browser.get(paper.write(rows).as_uri())
    cells = browser.execute_script(
        "return [...document.querySelectorAll('#board tbody td.value')].map((cell) => cell.textContent)"
    )
    assert cells[: len(WRITTEN)] == [text for _, text in WRITTEN]


def test_a_movement_without_bounds_leaves_its_column_narrow() -> None:
    moved = Moved("data:,", "data:,", reached=False, input_distortion=1.5e60, target_distance=1.0)
    pair = Pair("a", "data:,", "data:,", "data:,", "data:,", (moved,))
    html = (
        _environment().get_template("redirected.html.j2").render(sheets=[Sheet("re", "ae", "latent", ("1",), (pair,))])
    )
    assert "<small>d = 1.5e60</small>" in html
