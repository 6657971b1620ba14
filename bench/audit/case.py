"""What a check works on: a model, its data, and what the attacks of an evaluation left standing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.attack import Attack, Crafted
from bench.attacks.budget import Budget
from bench.attacks.catalogue import ATTACKS
from bench.attacks.counting import CountedModel
from bench.attacks.padding import call_padded
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import Verified, verify
from bench.attacks.watching import Watch
from bench.catalogue import is_import_name
from bench.randomness import derive_seed

T = TypeVar("T")
Chosen = NDArray[np.intp]
"""Positions of samples, shape (k,)."""


class Batched(Protocol):
    """Calls a function on consecutive slices of so many samples; the results in order."""

    def __call__(self, function: Callable[[slice], T], count: int, /) -> list[T]:  # noqa: D102
        ...


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
    examples: NDArray[np.float32]


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
        batched: Calls a function on slices of so many samples, as many at once as memory allows.
        budget: What an attack of the evaluation may cost a sample; None for any number.
        bpda: Whether an attack of the evaluation steps over declared stages; checks then do as well.
        targets: Classes to reach, shape (n,); None for untargeted attacks.
        fell: What fell to each attack of the evaluation, in its order, shape (E, n) each.
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
    batched: Batched
    budget: Budget | None = None
    bpda: bool = False
    targets: NDArray[np.int64] | None = None
    fell: Sequence[NDArray[np.bool_]] = ()
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

    def logits(self, x: Tensor, *, at_once: bool = False) -> Tensor:
        """What the model says, without gradients, counted; to all of `x` at once, or as memory allows."""
        with torch.inference_mode():
            if at_once:
                answers = call_padded(self.model, x)
            else:
                answers = torch.cat(self.batched(lambda part: call_padded(self.model, x[part]), len(x)))
        self.spent["forwards"] += len(x)
        return answers.clone()

    def aims(self, chosen: Chosen, like: Tensor) -> Tensor | None:
        """Classes that some samples are to reach, on the device of a tensor; None for untargeted attacks."""
        return None if self.targets is None else torch.from_numpy(self.targets[chosen]).to(like.device)

    def verified(self, chosen: Chosen, examples: Tensor, epsilon: float, *, passes: int = 1) -> Verified:
        """What examples of some samples achieve, shape (k, ...), by the mean of so many of its answers, counted."""

        def look(part: slice) -> Verified:
            x, y = self.batch(chosen[part])
            threat, aims = self.threat(epsilon), self.aims(chosen[part], y)
            model = CountedModel(self.model, len(x), device=x.device, averaged=passes)
            return verify(model, x, y, examples[part].to(x.device), threat=threat, targets=aims)

        seen = self.batched(look, len(chosen))
        self.spent["forwards"] += passes * len(chosen)
        return Verified(*(torch.cat(parts) for parts in zip(*(vars(part).values() for part in seen), strict=True)))

    def attack(
        self,
        name: str,
        chosen: Chosen,
        epsilon: float,
        options: Mapping[str, Any],
        *,
        watch: Watch | None = None,
        budget: Budget | None = None,
        version: str = "",
    ) -> Tried:
        """Attack some samples, verify what came of it, and count all passes.

        Args:
            name: An attack of ours, or a user's.
            chosen: The samples.
            epsilon: Radius; infinite for the whole box.
            options: Options of the attack; those of ours that are left out have their defaults.
            watch: Is told of every pass.
            budget: What it may cost a sample; None for any number.
            version: Another text gives other random choices.

        Raises:
            NoGradientError: The model gives no gradient.
            ModelError: It answers with something else than logits.
        """
        threat, ids = self.threat(epsilon), [self.ids[place] for place in chosen.tolist()]
        filled = options if is_import_name(name) else ATTACKS[name].options(**options).model_dump()
        if self.bpda and "bpda" in filled:
            filled = {**filled, "bpda": True}
        method = Attack(name, threat, derive_seed(self.seed, "audit", version), filled, budget)

        def craft(part: slice) -> Crafted:
            x, y = self.batch(chosen[part])
            looking = None if watch is None else Watch(len(x))
            crafted = method.craft(self.model, x, y, self.aims(chosen[part], y), ids[part], [threat], looking)
            if watch is not None and looking is not None:
                watch.take(looking, part.start)
            return crafted

        parts = self.batched(craft, len(chosen))
        self.spent["forwards"] += sum(float(part.forwards.sum()) for part in parts)
        self.spent["backwards"] += sum(float(part.backwards.sum()) for part in parts)
        examples = torch.cat([part.examples[0] for part in parts])
        seen = self.verified(chosen, examples, epsilon)
        return Tried(seen.reached.numpy(), seen.margin.float().numpy(), examples.cpu().numpy())
