"""Generators: given by their samples alone, and by code of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from bench.errors import UsageError

if TYPE_CHECKING:
    from tests.conftest import Workshop

GRID = """
suite: samples
data:
  grid: {source: grid25, samples: 4000}
models:
  theirs: {kind: generator, WHAT}
evaluations:
  gen: {kind: generation, models: [theirs], data: grid, samples: 100, metrics: [modes]}
"""
MODES = "gen/theirs/grid/modes"
DIGITS = """
suite: digits
data:
  digits: {source: mnist, take: 400}
models:
  theirs: {kind: generator, samples: "WHAT"}
evaluations:
  gen: {kind: generation, models: [theirs], data: digits, samples: 60, metrics: ["fid:pixels"]}
"""


def two_modes(count: int) -> np.ndarray:
    centres = np.array([[0.0, 0.0], [2.0, -4.0]])
    return centres[np.arange(count) % 2].astype(np.float32)


@pytest.mark.parametrize("names", [("samples",), ("anything",), ("samples", "labels")])
def test_samples_from_an_archive(workshop: Workshop, names: tuple[str, ...]) -> None:
    np.savez("s.npz", **{name: two_modes(120) for name in names})
    run = workshop.run(GRID.replace("WHAT", "samples: s.npz"))
    assert run.exit_code == 0
    assert workshop.rows(run)[MODES].value == 2
    assert workshop.rows(run)["gen/theirs/grid/high_quality"].value == 1
    assert workshop.rows(run)[MODES].n == 100


def spoiled() -> np.ndarray:
    points = two_modes(120)
    points[3, 0] = np.nan
    return points


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"samples": two_modes(99)}, "expected at least 100 samples in s.npz, found 99; lower `samples`"),
        ({"samples": spoiled()}, "s.npz holds NaN or infinite values"),
        ({"a": two_modes(120), "b": two_modes(120)}, "s.npz has no array 'samples'; it holds a, b"),
        ({"samples": two_modes(120).repeat(2, 1)}, "samples have shape (4,) each, the data 'grid' (2,)"),
        ({"samples": two_modes(120).astype(int)}, "expected inputs as floats or uint8, found int64"),
        ({"samples": two_modes(120)[:, 0]}, "expected inputs of shape (n, ...)"),
    ],
)
def test_samples_that_cannot_be_used(workshop: Workshop, arrays: dict[str, Any], message: str) -> None:
    np.savez("s.npz", **arrays)
    run = workshop.run(GRID.replace("WHAT", "samples: s.npz"))
    assert run.exit_code == 3
    row = workshop.rows(run)[MODES]
    assert row.status == "failed"
    assert message in row.message
    assert workshop.rows(run)["gen/real-data/grid/modes"].status == "ok"


def test_missing_samples(workshop: Workshop) -> None:
    with pytest.raises(
        UsageError, match=r"nothing was run: model '\w+': expected a file or folder at nowhere\.npz, found none"
    ):
        workshop.run(GRID.replace("WHAT", "samples: nowhere.npz"))


PIXELS = "def pixels(a, b): return float((a.mean() - b.mean()).abs())\n"


def pictures(folder: Path, count: int, mode: str) -> None:
    folder.mkdir()
    for index in range(count):
        Image.new(mode, (28, 28), 33 if mode == "L" else (33, 33, 33)).save(folder / f"{index}.png")


def test_a_folder_of_grey_images_is_like_grey_data(workshop: Workshop) -> None:
    workshop.module("fid", PIXELS)
    pictures(workshop.folder / "made", 60, "L")
    run = workshop.run(DIGITS.replace("WHAT", "made"))
    assert run.exit_code == 0
    assert workshop.rows(run)["gen/theirs/digits/pixels"].value == pytest.approx(abs(0.13 - 33 / 255), abs=0.02)


@pytest.mark.parametrize(
    ("count", "mode", "message"),
    [
        (59, "L", "expected at least 60 samples in made, found 59"),
        (60, "RGB", "samples have shape (3, 28, 28) each, the data 'digits' (1, 28, 28); expected the same"),
    ],
)
def test_a_folder_that_does_not_fit(workshop: Workshop, count: int, mode: str, message: str) -> None:
    workshop.module("fid", PIXELS)
    pictures(workshop.folder / "made", count, mode)
    run = workshop.run(DIGITS.replace("WHAT", "made"))
    assert message in workshop.rows(run)["gen/theirs/digits/pixels"].message


def test_samples_in_another_range_than_the_data(workshop: Workshop) -> None:
    """Images from 0 to 255 against data from 0 to 1 would give a distance that means nothing."""
    workshop.module("fid", PIXELS)
    np.savez("s.npz", samples=np.full((60, 1, 28, 28), 33.0))
    run = workshop.run(DIGITS.replace("WHAT", "s.npz"))
    row = workshop.rows(run)["gen/theirs/digits/pixels"]
    assert row.status == "failed"
    assert "samples lie in [33, 33], the data 'digits' in [0, 1]" in row.message


GENERATORS = """
import torch


class Generator:
    latent_size = 2
    answer = staticmethod(lambda z: z)

    def __call__(self, z): return self.answer(z)


def with_(**changes):
    made = Generator()
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def good(): return with_()
def nan(): return with_(answer=lambda z: z * float("nan"))
def few(): return with_(answer=lambda z: z[:3])
def array(): return with_(answer=lambda z: z.numpy())
def wordy(): return with_(latent_size="two")
def raising(): return with_(answer=lambda z: z @ torch.zeros(3, 3))
def plain(): return lambda z: z
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("good", ""),
        ("nan", "model 'theirs' drew NaN or infinite values in 100 of 100 samples"),
        ("few", "generator 'theirs': expected samples as floats, one row for each of 100 inputs, found torch.float32"),
        ("array", "generator 'theirs': expected samples as floats, one row for each of 100 inputs, found a ndarray"),
        ("wordy", "generator 'theirs': expected its noise's length as `latent_size`, found 'two'"),
        ("raising", "generator 'theirs' failed on a batch of shape (100, 2): RuntimeError: "),
        ("plain", "model 'theirs' is no generator: expected an attribute `latent_size` and a call on noise"),
    ],
)
def test_generators_of_the_users(workshop: Workshop, name: str, message: str) -> None:
    workshop.module("gens", GENERATORS)
    run = workshop.run(GRID.replace("WHAT", f'load: "gens:{name}"'))
    assert run.exit_code == (3 if message else 0)
    row = workshop.rows(run)[MODES]
    assert row.status == ("failed" if message else "ok")
    assert message in row.message
