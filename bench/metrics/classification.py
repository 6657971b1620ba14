"""Metrics of attacked classifiers: one value a sample, from verified outcomes. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcomes:
    """Verified outcomes of one model under one attack at one epsilon; all arrays have shape (n,).

    Attributes:
        correct: The clean sample is classified correctly.
        reached: The example is valid and reaches the attack's goal.
        confidence: Largest softmax probability at the example.
        common: Every model of the evaluation classifies the clean sample correctly.
    """

    correct: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    common: NDArray[np.bool_]

    @property
    def broken(self) -> NDArray[np.bool_]:
        """Misclassified already, or made to be."""
        return ~self.correct | self.reached


def robust_accuracy(outcomes: Outcomes) -> NDArray[np.float64]:
    """1 where the sample stays correctly classified, 0 where it is broken; all samples count."""
    return (~outcomes.broken).astype(np.float64)


def success_rate(outcomes: Outcomes) -> NDArray[np.float64]:
    """1 where the example reaches its goal, 0 where not; NaN where some model misclassifies the clean sample."""
    return np.where(outcomes.common, outcomes.reached.astype(np.float64), np.nan)


def confidence(outcomes: Outcomes) -> NDArray[np.float64]:
    """Largest softmax probability at the broken samples; NaN at the others."""
    return np.where(outcomes.broken, outcomes.confidence.astype(np.float64), np.nan)
