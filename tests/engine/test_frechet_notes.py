"""What the row of a Frechet distance says that two samples of the data itself would be apart, against such samples."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: normal
data:
  normal: {source: npz, path: normal.npz, y: null, range: [-9, 9]}
models:
  drawn: {kind: generator, samples: drawn.npz}
evaluations:
  gen: {kind: generation, models: [drawn], data: normal, samples: SAMPLES, metrics: [frechet]}
"""
WIDTH = 64
FLAT, FALLING = 0.0, 1.0


def said_and_found(workshop: Workshop, samples: int, reference: int, decay: float) -> tuple[bool, float, float]:
    """Whether a bound is said, the distance that is said, and the mean one of two pairs of samples of one law.

    Args:
        workshop: Where to run it.
        samples: Samples that are measured.
        reference: Samples of the data they are measured against; at least as many.
        decay: The law is normal with variances 1, 2^-decay, 3^-decay and so on.
    """
    random = np.random.default_rng(0)
    scale = np.arange(1, WIDTH + 1) ** (-decay / 2)
    for name, key, count in (("normal", "x", samples + reference), ("drawn", "samples", samples)):
        values = (random.normal(size=(count, WIDTH)) * scale).astype(np.float32)
        np.savez(workshop.folder / f"{name}.npz", **{key: values})
    rows = workshop.rows(workshop.run(SUITE.replace("SAMPLES", str(samples))))
    found = [rows[f"gen/{model}/normal/frechet"] for model in ("drawn", "real-data")]
    wanted = (
        rf"{samples:,} samples against {reference:,}: two such samples of the data would be (at least )?(\S+) apart$"
    )
    ((bound, said),) = {match.groups() for row in found if (match := re.search(wanted, row.message))}
    return bound is not None, float(said), float(np.mean([row.value for row in found]))


@pytest.mark.parametrize("decay", [FLAT, FALLING])
@pytest.mark.parametrize(
    ("samples", "reference"),
    [
        (WIDTH // 4, WIDTH),
        (WIDTH // 4, 20 * WIDTH),
        (WIDTH, WIDTH),
        (WIDTH, 20 * WIDTH),
        (3 * WIDTH, 3 * WIDTH),
    ],
)
def test_of_few_samples_the_distance_is_at_least_what_is_said(
    workshop: Workshop, samples: int, reference: int, decay: float
) -> None:
    bound, said, found = said_and_found(workshop, samples, reference, decay)
    assert bound
    assert 0.1 * found < said < found


def test_of_far_too_few_samples_nothing_is_said(workshop: Workshop) -> None:
    """The series behind it would say twice the distance here."""
    with pytest.raises(ValueError, match="not enough values to unpack"):
        said_and_found(workshop, WIDTH // 4 - 1, 10 * WIDTH, FLAT)
    row = workshop.rows(workshop.run(SUITE.replace("SAMPLES", str(WIDTH // 4 - 1))))["gen/drawn/normal/frechet"]
    assert "too few samples for 64 features to say how far apart two such samples" in row.message


@pytest.mark.parametrize("decay", [FLAT, FALLING])
def test_of_enough_samples_it_is_about_what_is_said(workshop: Workshop, decay: float) -> None:
    bound, said, found = said_and_found(workshop, 10 * WIDTH, 20 * WIDTH, decay)
    assert not bound
    assert said == pytest.approx(found, rel=0.1)
    bound, _, _ = said_and_found(workshop, 10 * WIDTH - 1, 20 * WIDTH, decay)
    assert bound
