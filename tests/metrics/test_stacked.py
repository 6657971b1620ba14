"""Mode counts of stacked MNIST and the inception score, on classifiers whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from bench.data import load_named
from bench.data.stacked import triples
from bench.errors import MetricError
from bench.metrics.inception_score import score
from bench.metrics.modes import reverse_kl
from bench.metrics.stacked import count_modes
from bench.models import classifiers, zoo


def reads(x: Tensor) -> Tensor:
    """A classifier of one-pixel digits: ten times the pixel's value is the digit."""
    return -(x.flatten(1)[:, :1] * 10 - torch.arange(10.0)).abs()


def images(numbers: list[int]) -> Tensor:
    digits = torch.tensor([[int(digit) for digit in f"{number:03d}"] for number in numbers])
    return digits[..., None, None] / 10.0


def test_combinations_are_counted() -> None:
    found = count_modes(images([7, 7, 70, 123, 999]), reads)
    assert found.modes == 4
    assert {place: count for place, count in enumerate(found.counts.tolist()) if count} == {7: 2, 70: 1, 123: 1, 999: 1}
    assert found.reverse_kl == pytest.approx(0.4 * math.log(0.4 * 1000) + 3 * 0.2 * math.log(0.2 * 1000))
    assert count_modes(images(list(range(1000))), reads).reverse_kl == pytest.approx(0, abs=1e-12)
    collapsed = count_modes(images([5] * 100), reads)
    assert (collapsed.modes, collapsed.reverse_kl) == (1, pytest.approx(math.log(1000)))


def real_classifier() -> torch.nn.Module:
    file = next(entry["file"] for entry in zoo.index().values() if entry["model"] == "cnn")
    cnn = classifiers.cnn_small(shape=(1, 28, 28), classes=10, width=16)
    cnn.load_state_dict(safetensors.torch.load_file(zoo.FOLDER / file))
    return cnn.eval()


def test_real_images_reach_the_floor() -> None:
    """26,000 of them: all modes, and of digits that are equally frequent (k - 1) / 2n = .0193.

    MNIST's are not: three times the divergence of their frequencies from even ones comes on top.
    """
    digits, random = load_named("mnist", split="test"), np.random.default_rng(0)
    of_class = [np.flatnonzero(digits.y == digit) for digit in range(10)]
    rows = np.stack(
        [[random.choice(of_class[digit]) for digit in random.integers(10, size=26_000)] for _ in range(3)], 1
    )
    even = count_modes(torch.from_numpy(digits.inputs()[rows][:, :, 0]), real_classifier())
    assert even.modes == 1000
    assert even.reverse_kl == pytest.approx(0.0193, abs=0.003)
    samples = load_named("stacked-mnist", samples=26_000, split="test", seed=3)
    found = count_modes(torch.from_numpy(samples.inputs()), real_classifier())
    assert found.modes == 1000
    frequencies = reverse_kl(np.bincount(digits.y))
    assert found.reverse_kl == pytest.approx(999 / 52_000 + 3 * frequencies, abs=0.002)
    truth = np.bincount(samples.y, minlength=1000)
    assert np.abs(found.counts - truth).sum() / 26_000 < 0.15, "most triples are read as they are"


def test_stacked_mnist_is_stacked_from_mnist() -> None:
    whole = load_named("stacked-mnist", samples=50, split="all", seed=1)
    assert whole.x.shape == (50, 3, 28, 28)
    assert whole.x.dtype == np.uint8
    digits = [load_named("mnist", split=split) for split in ("train", "test")]
    every = np.concatenate([part.x for part in digits])[:, 0]
    labels = np.concatenate([part.y for part in digits])
    rows = triples(70_000, 50, 1)
    assert np.array_equal(whole.x, every[rows])
    assert whole.y.tolist() == [int("".join(map(str, labels[row]))) for row in rows]
    assert np.array_equal(load_named("stacked-mnist", samples=50, seed=1, skip=10, take=5).x, whole.x[10:15])
    assert not np.array_equal(load_named("stacked-mnist", samples=50, seed=2).x, whole.x)
    assert rows.max() > 60_000, "test digits are among them"
    assert triples(60_000, 1000, 0).max() < 60_000


def test_what_is_no_classifier_of_digits() -> None:
    with pytest.raises(MetricError, match=r"expected a classifier of 10 digits, found answers of shape \(5, 3\)"):
        count_modes(torch.zeros(5, 3, 2, 2), lambda x: torch.zeros(len(x), 3))
    with pytest.raises(MetricError, match="expected images of shape"):
        count_modes(torch.zeros(5, 3), reads)


def test_the_inception_score() -> None:
    assert score(torch.zeros(30, 4)) == (1.0, 0.0)
    assert score(torch.full((30, 4), 3.0) + 50 * torch.eye(4)[[0] * 30])[0] == pytest.approx(1)
    logits = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    expected = []
    for part in logits.double().softmax(1).tensor_split(3):
        mean = part.mean(0)
        expected.append(math.exp(float((part * (part / mean).log()).sum(1).mean())))
    assert score(logits, splits=3) == pytest.approx((np.mean(expected), np.std(expected)))
    with pytest.raises(MetricError, match="n at least 10"):
        score(torch.zeros(5, 4))
