"""What defeats masking: other losses and scales, steps over what stops a gradient, averages, no gradient, transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.attack import Attack
from bench.attacks.catalogue import ATTACKS
from bench.attacks.curve import MISCLASSIFIED, curve
from bench.attacks.inputs import are_probabilities
from bench.attacks.verify import verify
from bench.audit.case import Case, logit_scale
from bench.audit.unblocked import blockers, unblocked
from bench.errors import NoGradientError

_LOOK = 32
"""Samples that are enough to find out what a model is like."""


@dataclass
class Tried:
    """What the rescue left; E radii, n samples.

    Attributes:
        examples: Examples, shape (E, n, ...).
        known: How each outcome is known, shape (E, n).
        costs: Forward and backward passes, shape (2, E, n).
        names: What was tried, in words.
    """

    examples: Tensor
    known: NDArray[np.uint8]
    costs: NDArray[np.float32]
    names: list[str]


def rescue(
    case: Case, x: Tensor, y: Tensor, others: Sequence[tuple[str, Callable[[Tensor], Tensor]]], *, ids: Sequence[str]
) -> Tried:
    """Attack what still stands by AutoAttack over what masks the model, then by examples of other models.

    - Logits are divided by their scale; of probabilities the logarithm is taken.
    - Declared stages are stepped over (`bpda`), and so are modules that are seen to stop the gradient.
    - A random model is attacked on the average of 20 passes.
    - AutoAttack ends with Square, which needs no gradient.
    - Of the other models of the evaluation the most confident examples are tried.

    Args:
        case: The model, with what the attacks left standing.
        x: Its samples, shape (n, ...).
        y: Their classes, shape (n,).
        others: Other models, by name, to craft examples on.
        ids: Names of the samples.

    Source: Athalye, Carlini, Wagner 2018, sections 4 and 5; Carlini and Wagner 2016; Papernot et al. 2017.
    """
    work = _Rescue(case, x, y, list(ids))
    work.by_autoattack()
    for name, other in others:
        work.by_transfer(name, other)
    return work.tried


class _Rescue:
    def __init__(self, case: Case, x: Tensor, y: Tensor, ids: list[str]) -> None:
        self.case, self.x, self.y, self.ids = case, x, y, ids
        levels = len(case.epsilons)
        self.broken = case.broken.copy()
        self.tried = Tried(
            x.expand(levels, *x.shape).clone(),
            np.full((levels, len(x)), MISCLASSIFIED, np.uint8),
            np.zeros((2, levels, len(x)), np.float32),
            [],
        )

    @property
    def standing(self) -> Tensor:
        """Samples that stand at some radius."""
        return torch.from_numpy(np.flatnonzero((~self.broken).any(0))).to(self.x.device)

    def aims(self, rows: Tensor) -> Tensor | None:
        """Classes to reach, for a targeted threat."""
        if self.case.targets is None:
            return None
        return torch.from_numpy(self.case.targets[rows.cpu().numpy()]).to(self.x.device)

    def by_autoattack(self) -> None:
        """AutoAttack on the model as it can be seen through."""
        look = self.x[:_LOOK]
        first, again = self.case.logits(look), self.case.logits(look)
        random = not torch.equal(first, again)
        model: Callable[[Tensor], Tensor] = self.case.model
        words = []
        if len(first) > 1 and are_probabilities(first):
            answers = model
            model = lambda inputs: answers(inputs).clamp_min(1e-30).log()  # noqa: E731
            first = first.clamp_min(1e-30).log()
            words.append("the logarithm of the probabilities")
        scale = logit_scale(first)
        if scale > 2:
            words.append(f"logits divided by {scale:.3g}")
        stopping = blockers(self.case.bare, look[:2])
        if stopping:
            names = ", ".join(dict.fromkeys(type(module).__name__ for module in stopping))
            words.append(f"the gradient passed straight through {names}")
        version = "rand" if random else "standard"
        options = {"bpda": True, "temperature": scale if scale > 2 else 1.0, "version": version}
        if random:
            words.append("20 passes averaged at each step")
        self.tried.names.append("autoattack" + (f" ({'; '.join(words)})" if words else ""))
        if self.case.norm == "l1":
            self.run(model, "l1-apgd", {"bpda": True, "loss": "dlr", "restarts": 5}, stopping)
            return
        self.run(model, "autoattack", options, stopping)
        if random:
            self.run(model, "square", {"queries": 1000}, [])

    def run(
        self, model: Callable[[Tensor], Tensor], name: str, options: Mapping[str, Any], stopping: list[torch.nn.Module]
    ) -> None:
        """One attack on all that stands, at every radius."""
        rows = self.standing
        if len(rows) == 0:
            return
        case = self.case
        filled = ATTACKS[name].options(**options).model_dump()
        method = Attack(name, case.threat(max(case.epsilons)), case.seed, filled)
        ids, aims = [self.ids[row] for row in rows.tolist()], self.aims(rows)
        with unblocked(stopping) if stopping else nullcontext():
            try:
                found = curve(method, model, self.x[rows], self.y[rows], epsilons=case.epsilons, targets=aims, ids=ids)
            except NoGradientError:
                return  # no gradient, and nothing declared to step over it
        where = rows.cpu().numpy()
        self.tried.costs[:, :, where] += np.stack([found.forwards.numpy(), found.backwards.numpy()])
        self.take(rows, found.examples)

    def by_transfer(self, name: str, other: Callable[[Tensor], Tensor]) -> None:
        """The most confident examples for another model, tried on this one."""
        rows = self.standing
        if len(rows) == 0 or self.case.norm == "l1":
            return
        case = self.case
        chosen: dict[str, Any] = {"steps": 40, "keep_going": True, "loss": "margin"}
        options = ATTACKS["pgd"].options(**chosen).model_dump()
        examples = []
        for epsilon in case.epsilons:
            method = Attack("pgd", case.threat(epsilon), case.seed, options)
            ids = [self.ids[row] for row in rows.tolist()]
            try:
                crafted = method.craft(other, self.x[rows], self.y[rows], self.aims(rows), ids, [case.threat(epsilon)])
            except NoGradientError:
                return
            examples.append(crafted.examples[0])
        self.tried.names.append(f"transfer from {name}")
        self.take(rows, torch.stack(examples))

    def take(self, rows: Tensor, examples: Tensor) -> None:
        """Keep the examples that break what stood, by the model's own answers."""
        where = rows.cpu().numpy()
        for level, epsilon in enumerate(self.case.epsilons):
            threat = self.case.threat(epsilon)
            seen = verify(
                self.case.model, self.x[rows], self.y[rows], examples[level], threat=threat, targets=self.aims(rows)
            )
            fallen = seen.reached.numpy() & ~self.broken[level, where]
            self.tried.examples[level, rows[torch.from_numpy(fallen).to(rows.device)]] = examples[level][
                torch.from_numpy(fallen).to(rows.device)
            ]
            self.tried.known[level, where] = 0
            self.broken[level, where[fallen]] = True
