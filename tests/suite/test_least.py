"""A mode that needs more points to count than there are could never count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.metrics.catalogue import POINTS_OF_A_LOOK
from bench.training.contest import POINTS

Mistakes = Callable[..., list[str]]


@pytest.fixture
def strict(valid: str) -> str:
    """The suite with modes that need as many points as are drawn."""
    return valid.replace("metrics: [modes, frechet]", "metrics: [modes, {modes: {least: 100}, as: strict}]")


def test_as_many_as_are_drawn_may_be_asked_for(strict: str, mistakes: Mistakes) -> None:
    assert mistakes(strict) == []


def test_more_than_are_drawn(strict: str, mistakes: Mistakes) -> None:
    assert mistakes(strict.replace("least: 100", "least: 101")) == [
        "s.yaml:48:38: evaluations.modes.metrics.1.modes.least: a mode needs 101 points to count, and the evaluation "
        "draws 100, so that none could; lower `least` or raise `samples`"
    ]


def test_the_default_number_of_samples_counts(strict: str, mistakes: Mistakes) -> None:
    text = strict.replace("    samples: 100\n", "")
    assert mistakes(text.replace("least: 100", "least: 2500")) == []
    (found,) = mistakes(text.replace("least: 100", "least: 2501"))
    assert "a mode needs 2,501 points to count, and the evaluation draws 2,500" in found


@pytest.mark.parametrize("samples", ["-1", "many", "true"])
def test_what_is_no_number_of_samples_is_told_once(strict: str, mistakes: Mistakes, samples: str) -> None:
    (found,) = mistakes(strict, f"evaluations.modes.samples={samples}")
    assert "evaluations.modes.samples: expected" in found


def test_a_history_is_of_the_points_of_its_looks(strict: str, mistakes: Mistakes) -> None:
    text = strict.replace("{modes: {least: 100}, as: strict}", "{history: {least: 2500}}")
    text = text.replace("packing: 2", "packing: 2, looks: 5").replace("[gan, drawn]", "[gan]")
    assert mistakes(text) == []
    assert mistakes(text.replace("least: 2500", "least: 2501")) == [
        "s.yaml:48:40: evaluations.modes.metrics.1.history.least: a mode needs 2,501 points to count, and a look keeps "
        "2,500, so that none could; lower `least`"
    ]
    assert POINTS_OF_A_LOOK == POINTS
