"""Verified outcomes of one model under one attack, over all its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.engine.store import Record
from bench.metrics.catalogue import METRICS
from bench.metrics.classification import Outcomes
from bench.suite.schema import Use


@dataclass(frozen=True)
class Classified:
    """Outcomes at every epsilon, smallest first; E epsilons, n samples.

    Attributes:
        ids: Names of the samples.
        label: True classes, shape (n,).
        correct: The model is right on the clean sample, shape (n,).
        source_correct: The model that was crafted on is right on it, shape (n,).
        reached: The example is valid and reaches the goal, shape (E, n).
        valid: The example passed verification, shape (E, n).
        margin: Logits past the decision boundary, shape (E, n).
        confidence: Largest softmax probability, shape (E, n).
        distance: Norm of the perturbation, shape (E, n).
        known: How the outcome is known, shape (E, n); see `bench.results.tables.KNOWN`.
        forwards: Forward passes, shape (E, n).
        backwards: Backward passes, shape (E, n).
        scores: Values of imported metrics by label, each (E, n).
        no_gradient: What the attack said of a model without a gradient; empty where there was one.
        probabilities: Whether the model answers with probabilities.
        tried: What a rescue tried, in words; None for other attacks.
    """

    ids: Sequence[str]
    label: NDArray[np.int64]
    correct: NDArray[np.bool_]
    source_correct: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    margin: NDArray[np.float32]
    confidence: NDArray[np.float32]
    distance: NDArray[np.float32]
    known: NDArray[np.uint8]
    forwards: NDArray[np.float32]
    backwards: NDArray[np.float32]
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    no_gradient: str = ""
    probabilities: bool = False
    tried: Sequence[str] | None = None

    @property
    def broken(self) -> NDArray[np.bool_]:
        """Misclassified already, or made to be, shape (E, n)."""
        return ~self.correct[None] | self.reached


_FLAT = ("label", "correct", "source_correct")
_LEVELS = ("reached", "valid", "margin", "confidence", "distance", "known", "forwards", "backwards")


def read_classified(records: Sequence[Record], scores: Mapping[str, Sequence[Record]]) -> Classified:
    """Join the chunks of one trial."""
    arrays: dict[str, Any] = {name: np.concatenate([record.arrays[name] for record in records]) for name in _FLAT}
    arrays |= {name: np.concatenate([record.arrays[name] for record in records], axis=1) for name in _LEVELS}
    ids = [name for record in records for name in record.meta["ids"]]
    scored = {key: np.concatenate([part.arrays["values"] for part in parts], axis=1) for key, parts in scores.items()}
    blind = next((str(record.meta["no_gradient"]) for record in records if "no_gradient" in record.meta), "")
    probabilities = any(record.meta.get("probabilities") for record in records)
    tried = None
    if any("tried" in record.meta for record in records):
        tried = list(dict.fromkeys(word for record in records for word in record.meta.get("tried", ())))
    return Classified(ids=ids, scores=scored, no_gradient=blind, probabilities=probabilities, tried=tried, **arrays)


def common_samples(models: Sequence[Sequence[Classified]]) -> NDArray[np.bool_]:
    """Samples that every model gets right, by trial: shape (trials, n); models with fewer trials repeat theirs."""
    trials = max(len(model) for model in models)
    rows = []
    for trial in range(trials):
        of_trial = [model[trial % len(model)] for model in models]
        rows.append(np.logical_and.reduce([[outcome.correct, outcome.source_correct] for outcome in of_trial], (0, 1)))
    return np.stack(rows)


def worst_case(attacks: Sequence[Sequence[Classified]]) -> list[Classified]:
    """Per trial and sample, the outcome of the attack that did most damage: the one of largest margin that is valid.

    Costs are those of all attacks together.
    """
    worst = []
    for trial in range(len(attacks[0])):
        each = [attack[trial] for attack in attacks]
        damage = np.stack([np.where(outcome.reached, np.inf, outcome.margin) for outcome in each])
        damage[np.stack([~outcome.valid for outcome in each])] = -np.inf
        pick = damage.argmax(0)[None]

        def chosen(name: str, each: list[Classified] = each, pick: NDArray[np.intp] = pick) -> Any:
            return np.take_along_axis(np.stack([getattr(outcome, name) for outcome in each]), pick, 0)[0]

        first = each[0]
        worst.append(
            Classified(
                ids=first.ids,
                label=first.label,
                correct=first.correct,
                source_correct=first.source_correct,
                forwards=np.sum([outcome.forwards for outcome in each], 0),
                backwards=np.sum([outcome.backwards for outcome in each], 0),
                probabilities=first.probabilities,
                **{name: chosen(name) for name in ("reached", "valid", "margin", "confidence", "distance", "known")},
            )
        )
    return worst


def values_of(use: Use, outcomes: Classified, level: int, common: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """A metric's values at one epsilon, shape (n,); NaN where a sample does not count."""
    if use.imported:
        return np.asarray(outcomes.scores[use.label][level])
    everyone = np.ones(len(outcomes.correct), np.bool_)
    seen = Outcomes(
        outcomes.correct,
        outcomes.reached[level],
        outcomes.confidence[level],
        everyone if common is None else common,
    )
    values: NDArray[np.float64] = METRICS[use.name].load()(seen)
    return values
