"""The kernel distance: its closed form, torchmetrics' figure, and no bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from bench.errors import MetricError
from bench.metrics import kernel_distance
from bench.metrics.kernel_distance import distance


def drawn(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + shift


def test_it_is_torchmetrics_on_the_whole_set(monkeypatch) -> None:
    monkeypatch.setattr(kernel_distance, "BLOCK", 17)
    a, b = drawn(60, 5, 0, 0.3), drawn(60, 5, 1)
    assert distance(a, b) == pytest.approx(float(poly_mmd(a.double(), b.double())), rel=1e-9)


def test_unequal_sizes_by_definition() -> None:
    a, b = drawn(4, 2, 0).double(), drawn(3, 2, 1).double()

    def k(x: Tensor, y: Tensor) -> float:
        return float((x @ y / 2 + 1) ** 3)

    within = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)]
    across = np.mean([k(x, y) for x in a for y in b])
    assert distance(a, b) == pytest.approx(sum(within) - 2 * across)


def test_it_has_no_bias() -> None:
    found = np.array([distance(drawn(100, 16, 2 * seed), drawn(150, 16, 2 * seed + 1)) for seed in range(50)])
    assert abs(found.mean()) < 3 * found.std(ddof=1) / 50**0.5
    assert found.min() < 0 < found.max()
    assert distance(drawn(200, 16, 0), drawn(200, 16, 1, 0.5)) > 10 * found.std()


def test_a_collapsed_generator_gives_a_finite_distance() -> None:
    assert np.isfinite(distance(torch.ones(50, 4), drawn(50, 4, 0)))


def test_wrong_features_get_a_sentence() -> None:
    with pytest.raises(MetricError, match="features differ in width: 3 and 4"):
        distance(torch.zeros(5, 3), torch.zeros(5, 4))
