"""Distances stand in one table only where they were measured alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.report.distances import standings
from bench.results.row import Row

ALIKE = "features of network ab12, tap 2048, resized by bilinear; 2,500 samples against 7,500"


def distance(model: str, value: float, basis: str = ALIKE, metric: str = "frechet", direction: str = "lower") -> Row:
    name = f"gen/{model}/mnist/{metric}"
    return Row(
        name, "gen", model, "", "", "mnist", "", float("nan"), metric, value=value, basis=basis, direction=direction
    )


@pytest.mark.parametrize(
    "other",
    [
        ALIKE.replace("2,500", "5,000"),
        ALIKE.replace("7,500", "5,000"),
        ALIKE.replace("ab12", "cd34"),
        ALIKE.replace("bilinear", "bilinear-antialias"),
    ],
    ids=["n", "reference n", "network", "resizing"],
)
def test_what_was_measured_otherwise_is_never_ranked_with_it(other: str) -> None:
    rows = [distance("gan", 3.0), distance("few", 1.0, other), distance("vae", 2.0)]
    found = [(standing.basis, [row.model for row in standing.rows]) for standing in standings(rows)]
    assert found == [(ALIKE, ["vae", "gan"]), (other, ["few"])]


def test_each_distance_and_evaluation_has_its_own() -> None:
    rows = [distance("gan", 3.0), distance("gan", 0.1, metric="kernel_distance")]
    rows.append(replace(distance("gan", 2.0), evaluation="other"))
    assert [(each.evaluation, each.metric) for each in standings(rows)] == [
        ("gen", "frechet"), ("gen", "kernel_distance"), ("other", "frechet"),
    ]  # fmt: skip


def test_what_is_no_distance_or_has_no_figure_is_left_out() -> None:
    rows = [
        distance("gan", 0.5, metric="recall", direction="higher"),
        distance("gan", 3.0, basis=""),
        distance("gan", float("nan")),
    ]
    assert standings(rows) == []
