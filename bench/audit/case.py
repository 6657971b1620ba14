"""What a check works on: a model, its data, and what the attacks of an evaluation left standing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.attack import Attack
from bench.attacks.catalogue import ATTACKS
from bench.attacks.padding import call_padded
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.attacks.watching import Watch
from bench.catalogue import is_import_name
from bench.randomness import derive_seed

Chosen = NDArray[np.intp]
"""Positions of samples, shape (k,)."""


_WORKABLE = 4.0
"""Difference of the two largest logits that a cross-entropy in float32 works well with."""


def logit_scale(logits: Tensor) -> float:
    """What to divide logits (n, classes) by, so that the cross-entropy does not saturate.

    >>> logit_scale(torch.tensor([[9.0, 1.0, 0.0]]))
    2.0
    """
    ordered = logits.topk(2, 1).values
    return float((ordered[:, 0] - ordered[:, 1]).median()) / _WORKABLE


class Tried(NamedTuple):
    """What an attack of a check did.

    Attributes:
        broken: Whether each sample fell, shape (k,); verified.
        margin: How far past the decision boundary its example is, shape (k,).
        examples: The examples, shape (k, ...).
    """

    broken: NDArray[np.bool_]
    margin: NDArray[np.float32]
    examples: Tensor


@dataclass
class Case:
    """A model under an evaluation; n samples, E radii, smallest first.

    Attributes:
        model: Inputs to logits, checked.
        bare: What the user gave: a module, or another callable.
        batch: Inputs (k, ...) and labels (k,) of some samples, on the device.
        ids: Names of all samples.
        norm: Norm of the ball.
        epsilons: Radii.
        box: Smallest and largest valid input.
        seed: Seed of the suite.
        correct: Classified correctly without any attack, shape (n,).
        broken: Misclassified, or broken by an attack of the evaluation, shape (E, n).
        margin: Largest margin an attack reached, shape (E, n); below 0 for samples that stand.
        passes: Forward passes plus two a backward pass that the attacks made for all samples and radii together.
        targets: Classes to reach, shape (n,); None for untargeted attacks.
        spent: Forward and backward passes this check has made.
    """

    model: Callable[[Tensor], Tensor]
    bare: Any
    batch: Callable[[Chosen], tuple[Tensor, Tensor]]
    ids: Sequence[str]
    norm: Norm
    epsilons: Sequence[float]
    box: tuple[float, float]
    seed: int
    correct: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    margin: NDArray[np.float32]
    passes: float
    targets: NDArray[np.int64] | None = None
    spent: dict[str, float] = field(default_factory=lambda: {"forwards": 0.0, "backwards": 0.0})

    def threat(self, epsilon: float) -> Threat:
        """The threat of one radius; of an infinite one the whole box, whatever the norm."""
        if math.isinf(epsilon):
            return Threat("linf", self.box[1] - self.box[0], *self.box)
        return Threat(self.norm, epsilon, *self.box)

    def affordable(self, share: float, passes: float, *, least: int = 8, most: int = 200) -> int:
        """How many samples a check can take that costs some passes a sample and may cost a share of the attacks."""
        return int(min(most, max(least, share * self.passes / max(passes, 1.0))))

    def some(self, count: int, among: NDArray[np.bool_]) -> Chosen:
        """Some of the marked samples, spread evenly over the data and the same at every call."""
        places = np.flatnonzero(among)
        if len(places) <= count:
            return places
        return places[np.linspace(0, len(places) - 1, count).astype(np.intp)]

    def nearest(self, count: int, level: int) -> Chosen:
        """The samples still standing at a radius that the attacks brought nearest to the decision boundary."""
        places = np.flatnonzero(~self.broken[level])
        return np.sort(places[np.argsort(-self.margin[level][places], kind="stable")[:count]])

    def logits(self, x: Tensor) -> Tensor:
        """What the model says, without gradients, counted."""
        self.spent["forwards"] += len(x)
        with torch.inference_mode():
            return call_padded(self.model, x).clone()

    def attack(
        self,
        name: str,
        chosen: Chosen,
        epsilon: float,
        options: Mapping[str, Any],
        *,
        watch: Watch | None = None,
        version: str = "",
    ) -> Tried:
        """Attack some samples, verify what came of it, and count all passes.

        Args:
            name: An attack of ours, or a user's.
            chosen: The samples.
            epsilon: Radius; infinite for the whole box.
            options: Options of the attack; those of ours that are left out have their defaults.
            watch: Is told of every pass.
            version: Another text gives other random choices.

        Raises:
            NoGradientError: The model gives no gradient.
            ModelError: It answers with something else than logits.
        """
        x, y = self.batch(chosen)
        aims = None if self.targets is None else torch.from_numpy(self.targets[chosen]).to(y.device)
        threat, ids = self.threat(epsilon), [self.ids[place] for place in chosen.tolist()]
        filled = options if is_import_name(name) else ATTACKS[name].options(**options).model_dump()
        method = Attack(name, threat, derive_seed(self.seed, "audit", version), filled)
        crafted = method.craft(self.model, x, y, aims, ids, [threat], watch)
        seen = verify(self.model, x, y, crafted.examples[0], threat=threat, targets=aims)
        self.spent["forwards"] += float(crafted.forwards.sum()) + len(x)
        self.spent["backwards"] += float(crafted.backwards.sum())
        return Tried(seen.reached.numpy(), seen.margin.float().numpy(), crafted.examples[0])
