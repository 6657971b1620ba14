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
from bench.attacks.autoattack import RANDOM_PASSES
from bench.attacks.catalogue import ATTACKS
from bench.attacks.curve import ATTACKED, MISCLASSIFIED, curve
from bench.attacks.inputs import are_probabilities
from bench.audit.case import Case, Chosen, logit_scale
from bench.audit.finding import Found
from bench.audit.unblocked import blockers, unblocked
from bench.errors import NoGradientError

_LOOK = 32
"""Samples that are enough to find out what a model is like."""
_FEW = 16
"""Rows that a model is looked into with: no fewer than it gets from anybody else."""
_MOST = 0.9
"""Share of the time that AutoAttack takes."""


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
    case: Case,
    x: Tensor,
    y: Tensor,
    known: Sequence[Found],
    others: Sequence[tuple[str, Callable[[Tensor], Tensor]]],
    report: Callable[[float], None] = lambda share: None,  # noqa: ARG005
    *,
    masked: bool = True,
) -> Tried:
    """Take what the checks broke; where the model is masked, attack what still stands over what masks it.

    By AutoAttack, then by examples of other models.

    - Logits are divided by their scale; of probabilities the logarithm is taken.
    - Declared stages are stepped over (`bpda`), and so are modules that are seen to stop the gradient.
    - A random model is attacked on the average of 20 passes, and then for the most confident examples.
    - AutoAttack ends with Square, which needs no gradient.
    - Of the other models of the evaluation, and of the network without its declared defences, the most confident
      examples are tried.

    Args:
        case: The model, with what the attacks left standing.
        x: Its samples, shape (n, ...).
        y: Their classes, shape (n,).
        known: What checks broke of them.
        others: Other models, by name, to craft examples on.
        report: Told the share of the work that is done, from 0 to 1.
        masked: Whether to attack what still stands then.

    Source: Athalye, Carlini, Wagner 2018, sections 4 and 5; Carlini and Wagner 2016; Papernot et al. 2017.
    """
    work = _Rescue(case, x, y)
    for found in known:
        work.by_examples(found)
    if not masked:
        return work.tried
    work.by_autoattack(lambda share: report(_MOST * share))
    for number, (name, other) in enumerate(others):
        work.by_transfer(name, other)
        report(_MOST + (1 - _MOST) * (number + 1) / len(others))
    return work.tried


class _Rescue:
    def __init__(self, case: Case, x: Tensor, y: Tensor) -> None:
        self.case, self.x, self.y = case, x, y
        levels = len(case.epsilons)
        self.broken = case.broken.copy()
        self.best = np.full(case.broken.shape, -np.inf, np.float32)
        look = x[:_LOOK]
        self.first = case.logits(look)
        self.passes = 1 if torch.equal(self.first, case.logits(look)) else RANDOM_PASSES
        self.tried = Tried(
            x.expand(levels, *x.shape).clone(),
            np.full((levels, len(x)), MISCLASSIFIED, np.uint8),
            np.zeros((2, levels, len(x)), np.float32),
            [],
        )

    @property
    def standing(self) -> Chosen:
        """Samples that stand at some radius."""
        return np.flatnonzero((~self.broken).any(0))

    def by_examples(self, found: Found) -> None:
        """Examples that a check has left."""
        for level, places in enumerate(map(np.flatnonzero, found.flags)):
            chosen = places[~self.broken[level, places]]
            if len(chosen):
                self.take_at(level, chosen, torch.from_numpy(found.at(level, chosen)).to(self.x.device))

    def by_autoattack(self, report: Callable[[float], None]) -> None:
        """AutoAttack on the model as it can be seen through."""
        first, random = self.first, self.passes > 1
        model: Callable[[Tensor], Tensor] = self.case.model
        words = []
        if len(first) > 1 and are_probabilities(first):
            answers = model
            model = lambda inputs: answers(inputs).clamp_min(1e-30).log()  # noqa: E731
            first = first.clamp_min(1e-30).log()
            words.append("the logarithm of the probabilities")
        scale = logit_scale(first)
        if scale > 2:
            words.append("logits divided by their scale")
        stopping = blockers(self.case.bare, self.x[torch.arange(_FEW, device=self.x.device) % len(self.x)])
        if stopping:
            names = ", ".join(dict.fromkeys(type(module).__name__ for module in stopping))
            words.append(f"the gradient passed straight through {names}")
        version = "rand" if random else "standard"
        options = {"bpda": True, "temperature": scale if scale > 2 else 1.0, "version": version}
        if random:
            words.append(f"{self.passes} passes averaged at each step")
        how = f" ({'; '.join(words)})" if words else ""
        if self.case.norm == "l1":
            del options["version"]
            options |= {"loss": "dlr", "restarts": 5, "eot": self.passes}
            self.run(model, "l1-apgd", options, stopping, report, how)
            return
        self.run(model, "autoattack", options, stopping, report, how)
        if random:
            self.run(model, "square", {"queries": 1000}, [], report)
            # an example that the mean of many answers calls adversarial by little fails at every second pass
            self.broken = self.case.broken.copy()
            confident = {"steps": 40, "eot": self.passes, "keep_going": True, "loss": "margin", "bpda": True}
            self.run(model, "pgd", confident, stopping, report)

    def run(
        self,
        model: Callable[[Tensor], Tensor],
        name: str,
        options: Mapping[str, Any],
        stopping: list[torch.nn.Module],
        report: Callable[[float], None],
        how: str = "",
    ) -> None:
        """One attack on all that stands, at every radius; nothing where it finds no gradient."""
        chosen, case = self.standing, self.case
        filled = ATTACKS[name].options(**options).model_dump()
        method = Attack(name, case.threat(max(case.epsilons)), case.seed, filled)

        def some(part: slice) -> bool:
            places, rows = chosen[part], self.rows(chosen[part])
            try:
                found = curve(
                    method, model, self.x[rows], self.y[rows], epsilons=case.epsilons,
                    targets=case.aims(places, self.y), ids=[case.ids[place] for place in places.tolist()],
                    report=lambda share: report((part.start + share * len(places)) / len(chosen)),
                )  # fmt: skip
            except NoGradientError:
                return False  # and nothing declared to step over
            self.tried.costs[:, :, places] += np.stack([found.forwards.numpy(), found.backwards.numpy()])
            self.take(places, found.examples)
            return True

        with unblocked(stopping) if stopping else nullcontext():
            ran = case.batched(some, len(chosen))
        if any(ran):
            self.tried.names.append(f"{name}{how}")

    def rows(self, places: Chosen) -> Tensor:
        """Positions as an index on the device."""
        return torch.from_numpy(places).to(self.x.device)

    def by_transfer(self, name: str, other: Callable[[Tensor], Tensor]) -> None:
        """The most confident examples for another model, tried on this one."""
        chosen, case = self.standing, self.case
        if len(chosen) == 0:
            return
        attack, wanted = "pgd", {"steps": 40, "keep_going": True, "loss": "margin"}
        if case.norm == "l1":
            attack, wanted = "l1-apgd", {"steps": 40, "loss": "dlr"}
        options = ATTACKS[attack].options(**wanted).model_dump()

        def some(part: slice) -> None:
            places, rows = chosen[part], self.rows(chosen[part])
            x, y, aims = self.x[rows], self.y[rows], case.aims(chosen[part], self.y)
            ids, examples = [case.ids[place] for place in places.tolist()], []
            for threat in map(case.threat, case.epsilons):
                method = Attack(attack, threat, case.seed, options)
                examples.append(method.craft(other, x, y, aims, ids, [threat]).examples[0])
            self.take(places, torch.stack(examples))

        try:
            case.batched(some, len(chosen))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the other model's fault, which is told where that one is evaluated
            self.tried.names.append(f"nothing from {name} ({error})")
        else:
            self.tried.names.append(f"transfer from {name}")

    def take(self, places: Chosen, examples: Tensor) -> None:
        """Keep the best example of each sample, by the model's own answers: of a random model, by their mean."""
        for level in range(len(self.case.epsilons)):
            self.take_at(level, places, examples[level])

    def take_at(self, level: int, places: Chosen, examples: Tensor) -> None:
        """The same at one radius."""
        seen = self.case.verified(places, examples, self.case.epsilons[level], passes=self.passes)
        margin = np.where(seen.valid.numpy(), seen.margin.float().numpy(), -np.inf)
        better = margin > self.best[level, places]
        kept = self.rows(np.flatnonzero(better))
        self.tried.examples[level, self.rows(places[better])] = examples[kept]
        self.tried.known[level, places] = ATTACKED
        self.best[level, places] = np.maximum(margin, self.best[level, places])
        self.broken[level, places] |= seen.reached.numpy()
