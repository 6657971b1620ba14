"""The MNIST that ships with the package."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench.data import DATA, describe, load_named, mnist
from bench.errors import DataError


def test_train_has_the_published_counts_and_moments() -> None:
    samples = load_named("mnist", split="train")
    assert samples.x.shape == (60_000, 1, 28, 28)
    values = samples.inputs()
    assert values.dtype == np.float32
    assert values.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert values.std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)
    assert samples.y is not None
    assert samples.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(samples.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_test_split_is_another_one() -> None:
    samples = load_named("mnist")
    assert len(samples) == 10_000
    assert samples.y is not None
    assert samples.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert len(set(samples.ids)) == 10_000
    assert samples.ids[3] == "test-00003"


def test_splits_have_different_fingerprints() -> None:
    options = DATA["mnist"].options
    train, test = (describe("m", "mnist", options(split=split)) for split in ("train", "test"))
    assert train.fingerprint != test.fingerprint
    assert (train.count, test.count) == (60_000, 10_000)


def test_a_file_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    labels = tmp_path / "x.gz"
    labels.write_bytes(gzip.compress((2049).to_bytes(4, "big") + bytes(12)))
    with pytest.raises(DataError, match="not an IDX file of the expected kind"):
        mnist._read(labels, magic=2051, header=16)
    labels.write_bytes(labels.read_bytes()[:-4])
    with pytest.raises(DataError, match="damaged"):
        mnist._read(labels, magic=2049, header=8)
