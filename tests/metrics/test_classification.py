"""Per-sample metrics of attacked classifiers."""

from __future__ import annotations

import numpy as np

from bench.metrics.classification import Outcomes, confidence, robust_accuracy, success_rate

OUTCOMES = Outcomes(
    correct=np.array([True, True, False, False]),
    reached=np.array([True, False, True, False]),
    confidence=np.array([0.9, 0.8, 0.7, 0.6], np.float32),
    common=np.array([True, True, False, False]),
)


def test_misclassified_samples_count_as_broken() -> None:
    assert robust_accuracy(OUTCOMES).tolist() == [0, 1, 0, 0]


def test_success_counts_only_samples_all_models_get_right() -> None:
    np.testing.assert_array_equal(success_rate(OUTCOMES), [1, 0, np.nan, np.nan])


def test_confidence_is_that_of_broken_samples() -> None:
    np.testing.assert_allclose(confidence(OUTCOMES), [0.9, np.nan, 0.7, 0.6], rtol=1e-6)
