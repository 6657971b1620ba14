"""Modes over a training, from looks made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.mixtures import draw, modes_of
from bench.errors import MetricError
from bench.metrics.history import follow, mode_history

RING = modes_of("ring8")
NOWHERE = [9.0, 9.0]


def look(*modes: int, outside: int = 0) -> np.ndarray:
    """One point at the centre of each mode that is named, and some points that are nowhere near one."""
    return np.array([RING.centres[mode] for mode in modes] + [NOWHERE] * outside).reshape(-1, 2)


def rows(looks: dict[int, np.ndarray], **options: float) -> dict[str, float | None]:
    return dict(mode_history(looks, mixture="ring8", **{"radius": 3.0, "least": 1, **options}).values)


def test_points_are_counted_by_mode_at_each_look() -> None:
    found = follow({10: look(0, 0, 7, outside=2), 20: look(3, 3, 3, 3, 4)}, RING)
    assert found.iterations.tolist() == [10, 20]
    assert found.histogram.tolist() == [[2, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 4, 1, 0, 0, 0]]
    assert found.outside.tolist() == [2, 0]
    assert (found.histogram.sum(1) + found.outside).tolist() == [5, 5]


def test_looks_are_taken_in_the_order_of_training() -> None:
    found = follow({100: look(2), 9: look(1)}, RING)
    assert found.iterations.tolist() == [9, 100]
    assert found.histogram.argmax(1).tolist() == [1, 2]


def test_the_first_look_that_hits_every_mode() -> None:
    looks = {100: look(0, 1), 200: look(*range(8)), 300: look(*range(7)), 400: look(*range(8))}
    assert rows(looks)["iterations_to_all_modes"] == 200, "what is lost afterwards is counted apart"


def test_a_training_that_never_hits_all_modes_has_no_figure() -> None:
    found = mode_history({100: look(0), 250: look(*range(7))}, mixture="ring8", radius=3.0, least=1)
    assert found.values["iterations_to_all_modes"] is None
    assert found.above == {"iterations_to_all_modes": 250}, "all that is known is that it takes longer"
    hit = mode_history({100: look(0), 250: look(*range(8))}, mixture="ring8", radius=3.0, least=1)
    assert hit.above == {}


def test_modes_are_lost_each_time_they_are_hit_and_then_not() -> None:
    once = {1: look(0, 1, 2), 2: look(0, 1), 3: look(0, 1, 2), 4: look(0)}
    assert rows(once)["modes_lost"] == 1 + 0 + 2
    assert rows({1: look(0), 2: look(0, 1), 3: look(0, 1, 2)})["modes_lost"] == 0, "a gain is no loss"
    assert rows({1: look(0), 2: look(outside=1), 3: look(1), 4: look(2)})["modes_lost"] == 2


def test_modes_are_hit_by_the_same_definition_as_those_of_the_samples() -> None:
    looks = {1: look(*range(8)), 2: look(*range(8), *range(8))}
    assert rows(looks, least=2)["iterations_to_all_modes"] == 2
    off = RING.centres + np.array([0.0, 0.035])
    assert rows({1: off, 2: off})["iterations_to_all_modes"] is None
    assert rows({1: off, 2: off}, radius=4.0)["iterations_to_all_modes"] == 1


def test_real_points_are_whole_from_the_first_look() -> None:
    looks = {at: draw(RING, 2500, at)[0] for at in (1, 2, 3)}
    assert rows(looks) == {"iterations_to_all_modes": 1, "modes_lost": 0}
    assert (follow(looks, RING).histogram > 200).all()


def test_what_is_kept_for_the_report() -> None:
    found = mode_history({1: look(0, outside=1), 2: look(1, 2)}, mixture="ring8", radius=3.0, least=1)
    assert {name: array.shape for name, array in found.arrays.items()} == {
        "iterations": (2,),
        "histogram": (2, 8),
        "outside": (2,),
    }
    assert found.note == "2 looks, the last after 2 iterations, of 2 points each"


@pytest.mark.parametrize(
    ("looks", "sentence"),
    [
        ({}, "expected at least 2 looks, found 0; set `looks` in the model's `train:`"),
        ({5: look(0)}, "expected at least 2 looks, found 1"),
        ({5: look(0), 7: np.zeros((4, 3))}, r"the look after 7 iterations: expected points of shape \(n, 2\)"),
        ({5: look(0), 7: np.full((4, 2), np.nan)}, "the look after 7 iterations: 4 of 4 points are NaN or infinite"),
    ],
)
def test_looks_that_cannot_be_counted(looks, sentence) -> None:
    with pytest.raises(MetricError, match=sentence):
        rows(looks)
