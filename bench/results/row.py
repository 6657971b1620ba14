"""A line of the leaderboard."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.engine.task import Status

UNAUDITED = "unaudited"
TRUSTED, SUSPECT, MASKED = "trusted", "suspect", "masked"
ADEQUATE, TOO_WEAK, BROKEN = "adequate", "too-weak", "broken-attack"
RANK = {TRUSTED: 0, UNAUDITED: 1, SUSPECT: 2, MASKED: 3}
"""What a verdict does to a model's place: one with a larger number never stands above one with a smaller."""


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard. NaN stands for a figure that is not there; its status says why.

    Attributes:
        row: Its id: evaluation/model/attack/threat/metric.
        evaluation: Name of the evaluation.
        model: The model that is judged.
        attack: Label of the attack, ``clean`` or ``worst-case``; empty for a generator.
        surrogate: Model the examples were crafted on; empty unless transferred.
        threat: The threat part of the id; the data set's name for a generator.
        norm: Norm of the ball; empty where there is none.
        epsilon: Its radius.
        metric: What `value` is.
        value: The figure: over samples, and over trials where there are several.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        direction: Whether ``higher`` or ``lower`` is better for the model; ``neither`` for a mere fact.
        n: Samples a trial behind the figure; for a share of the data, as recall is one, the data's.
        trials: Trained models behind the figure.
        quoted: The figure a source states.
        quoted_plus_minus: Its stated uncertainty.
        quoted_source: That source.
        row_verdict: Whether the attack was adequate.
        model_verdict: Whether the model's robustness can be trusted.
        at_most: What robust accuracy is at most, by all that is known to fall; NaN where the figure itself is.
        reason: What the verdicts follow from, and what to try next; empty where there are none.
        status: How the jobs behind it ended.
        message: What went wrong, or what a reader must know.
        basis: For figures made from features: network, resizing, numbers of samples. Figures of one metric are
            comparable only where this is equal.
        forwards: Forward passes a sample, mean.
        backwards: Backward passes a sample, mean.
        seconds: Time of the jobs behind it.
        memory: Most memory one of them had in use, MiB: of the GPU, or of the whole process on a CPU.
        seed: Seed of the suite.
    """

    row: str
    evaluation: str
    model: str
    attack: str
    surrogate: str
    threat: str
    norm: str
    epsilon: float
    metric: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    direction: str = "neither"
    n: int = 0
    trials: int = 0
    quoted: float = math.nan
    quoted_plus_minus: float = math.nan
    quoted_source: str = ""
    row_verdict: str = UNAUDITED
    model_verdict: str = UNAUDITED
    at_most: float = math.nan
    reason: str = ""
    status: Status = "ok"
    message: str = ""
    basis: str = ""
    forwards: float = math.nan
    backwards: float = math.nan
    seconds: float = math.nan
    memory: float = math.nan
    seed: int = 0
