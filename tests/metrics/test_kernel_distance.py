"""The kernel distance: its closed form, torchmetrics' figure, and no bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from bench.errors import MetricError
from bench.metrics import kernel_distance
from bench.metrics.kernel_distance import distance, of_subsets


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


def test_subsets_by_definition() -> None:
    a, b = drawn(12, 3, 0), drawn(9, 3, 1)
    again = torch.Generator().manual_seed(5)
    pairs = [[torch.randperm(len(each), generator=again)[:4] for each in (a, b)] for _ in range(3)]
    expected = [distance(a[first], b[second]) for first, second in pairs]
    found = of_subsets(a, b, subsets=3, size=4, generator=torch.Generator().manual_seed(5))
    assert found == pytest.approx((np.mean(expected), np.std(expected)))


def test_subsets_of_all_are_the_whole_set() -> None:
    a, b = drawn(40, 3, 0), drawn(40, 3, 1)
    found = of_subsets(a, b, subsets=2, size=40, generator=torch.Generator())
    assert found == pytest.approx((distance(a, b), 0.0), abs=1e-9)


def test_too_few_samples_for_a_subset_get_a_sentence() -> None:
    with pytest.raises(MetricError, match=r"subsets of 1,000 need as many samples; there are 60 and 50 real ones"):
        of_subsets(drawn(60, 3, 0), drawn(50, 3, 1), subsets=2, size=1000, generator=torch.Generator())


def test_a_collapsed_generator_gives_a_finite_distance() -> None:
    assert np.isfinite(distance(torch.ones(50, 4), drawn(50, 4, 0)))


def test_wrong_features_get_a_sentence() -> None:
    with pytest.raises(MetricError, match="features differ in width: 3 and 4"):
        distance(torch.zeros(5, 3), torch.zeros(5, 4))
