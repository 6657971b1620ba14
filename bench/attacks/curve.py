"""Robustness at several radii, for less than they cost one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attacks.attack import Attack
from bench.attacks.inputs import check_batch
from bench.attacks.threat import Threat, per_sample
from bench.attacks.verify import verify
from bench.catalogue import is_import_name

ATTACKED, INFERRED, MISCLASSIFIED, MEASURED = 0, 1, 2, 3
"""How an outcome is known: attacked at this radius; inferred from what happened at another; wrong before any attack
(which is for the caller to know); measured, as the distance of the nearest example."""


@dataclass(frozen=True)
class Curve:
    """What an attack achieved at each of k radii, smallest first.

    Attributes:
        epsilons: The radii, ascending.
        examples: Examples, shape (k, n, ...); where the attack failed or was not needed, whatever it left, or `x`.
        success: The example is valid at its radius and reaches the goal, shape (k, n).
        known: How that is known, shape (k, n): `ATTACKED`, `INFERRED` or `MEASURED`.
        forwards: Forward passes of each sample that were made for this radius, shape (k, n). What one run did for all
            radii is divided among them; the sum over the radii is the whole cost.
        backwards: Backward passes, in the same way.
    """

    epsilons: list[float]
    examples: Tensor
    success: Tensor
    known: Tensor
    forwards: Tensor
    backwards: Tensor


def curve(
    attack: Attack,
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    epsilons: Sequence[float],
    targets: Tensor | None = None,
    ids: Sequence[str] | None = None,
    every: bool = False,
    report: Callable[[float], None] = lambda share: None,  # noqa: ARG005
) -> Curve:
    """Attack a batch at several radii, sharing all the work that can be shared.

    - One gradient of FGSM serves all radii, and so does one draw of noise.
    - An attack that looks for the nearest example runs once; its distance answers for every radius.
    - Any other attack begins at the largest radius. Samples it breaks are tried at the next smaller one, where breaking
      is harder; samples it does not break are taken as robust at all smaller radii. Success is cheap, because broken
      samples leave the attack, and each sample pays the price of failure once. An example that happens to lie within
      smaller radii answers for these as well.
    - Of an attack that is not ours nobody knows whether a failure at one radius means one at a smaller. It begins at
      the smallest, and only what it breaks there is not tried again.

    Args:
        attack: The attack; its own radius is not used.
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...).
        y: True classes, shape (n,).
        epsilons: Radii in the data's units.
        targets: Classes to reach, shape (n,), or None.
        ids: Names of the samples; their positions when left out.
        every: Attack every sample at every radius, as transfer to other models needs it.
        report: Told the share of the work that is done, from 0 to 1.

    Raises:
        AttackError: See `Attack`.
        ModelError: See `Attack`.

    >>> from bench.attacks.attack import create
    >>> model = lambda x: torch.stack([x[:, 0], 0.5 - x[:, 0]], 1) * 4
    >>> found = curve(create("pgd", norm="linf", epsilon=0, steps=10), model, torch.tensor([[0.6]]), torch.tensor([0]),
    ...               epsilons=[0.1, 0.3, 0.4])
    >>> found.success[:, 0].tolist(), found.known[:, 0].tolist()
    ([False, False, True], [1, 0, 0])
    """
    check_batch(model, x, y, targets, attack.threat)
    radii = sorted(epsilons)
    run = _Run(attack, model, x, y, targets, list(ids) if ids is not None else [str(i) for i in range(len(x))], radii)
    if attack.shared_curve:
        run.together(every=every)
    elif every or is_import_name(attack.name):
        run.upwards(report, every=every)
    else:
        run.downwards(report)
    return Curve(radii, run.examples, run.success, run.known, run.forwards, run.backwards)


class _Run:
    def __init__(
        self,
        attack: Attack,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        targets: Tensor | None,
        ids: list[str],
        radii: list[float],
    ) -> None:
        self.attack, self.model, self.x, self.y, self.targets, self.ids = attack, model, x, y, targets, ids
        self.threats = [replace(attack.threat, epsilon=radius) for radius in radii]
        levels, count = len(radii), len(x)
        self.examples = x.expand(levels, *x.shape).clone()
        self.success = torch.zeros(levels, count, dtype=torch.bool)
        self.known = torch.full((levels, count), ATTACKED, dtype=torch.uint8)
        self.forwards, self.backwards = torch.zeros(levels, count), torch.zeros(levels, count)

    def aims(self, rows: Tensor) -> Tensor | None:
        return None if self.targets is None else self.targets[rows]

    def craft(self, rows: Tensor, threats: list[Threat], levels: slice) -> list[Tensor]:
        """Run the attack on some samples and share its cost out among some levels."""
        ids = [self.ids[index] for index in rows.tolist()]
        attack = replace(self.attack, threat=threats[0])
        crafted = attack.craft(self.model, self.x[rows], self.y[rows], self.aims(rows), ids, threats)
        share = 1 / len(self.threats[levels])
        self.forwards[levels, rows.cpu()] = crafted.forwards * share
        self.backwards[levels, rows.cpu()] = crafted.backwards * share
        return crafted.examples

    def judge(self, level: int, rows: Tensor, examples: Tensor) -> tuple[Tensor, Tensor]:
        """Note examples of some samples at a level; whether they succeed, and their distance."""
        threat = self.threats[level]
        seen = verify(self.model, self.x[rows], self.y[rows], examples, threat=threat, targets=self.aims(rows))
        self.examples[level, rows] = examples
        self.success[level, rows.cpu()] = seen.reached
        return seen.reached, seen.distance

    def at(self, level: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Attack some samples at one level."""
        (examples,) = self.craft(rows, [self.threats[level]], slice(level, level + 1))
        return self.judge(level, rows, examples)

    def together(self, *, every: bool) -> None:
        """One run for all levels; what is broken at one is broken at the larger ones, unless each counts for itself."""
        rows = torch.arange(len(self.x), device=self.x.device)
        crafted = self.craft(rows, self.threats, slice(None))
        if self.attack.shared_curve == "nearest":
            self.known[:] = MEASURED
        for level, examples in enumerate(crafted):
            self.judge(level, rows, examples)
            if level > 0 and self.attack.shared_curve == "scaled" and not every:
                lost = self.success[level - 1] & ~self.success[level]
                self.keep(level, lost, self.examples[level - 1])

    def upwards(self, report: Callable[[float], None], *, every: bool) -> None:
        """From the smallest radius to the largest, each with all samples or with those that are not yet broken."""
        everyone = torch.arange(len(self.x), device=self.x.device)
        for level in range(len(self.threats)):
            rows = everyone
            if level > 0 and not every:
                self.keep(level, self.success[level - 1], self.examples[level - 1])
                rows = everyone[~self.success[level].to(everyone.device)]
            if len(rows):
                self.at(level, rows)
            report((level + 1) / len(self.threats))

    def downwards(self, report: Callable[[float], None]) -> None:
        """From the largest radius to the smallest, each with the samples that the last one broke."""
        rows = torch.arange(len(self.x), device=self.x.device)
        levels = len(self.threats)
        for level in reversed(range(levels)):
            within = self.success[level][rows.cpu()]  # an example of a larger radius that lies in this ball
            tried = rows[(~within).to(rows.device)]
            if len(tried):
                broken, distance = self.at(level, tried)
                for smaller in range(level):
                    near = broken & (distance <= self.threats[smaller].epsilon)
                    where = torch.zeros(len(self.x), dtype=torch.bool)
                    where[tried.cpu()] = near
                    self.keep(smaller, where, self.examples[level])
            survivors = rows[~self.success[level][rows.cpu()].to(rows.device)].cpu()
            self.known[:level, survivors] = INFERRED
            rows = rows[self.success[level][rows.cpu()].to(rows.device)]
            report((levels - level) / levels)
            if len(rows) == 0:
                break
        report(1.0)

    def keep(self, level: int, where: Tensor, examples: Tensor) -> None:
        """Take examples over from another level for the samples marked, on the CPU, in `where`."""
        mask = per_sample(where.to(self.x.device), self.x)
        self.examples[level] = torch.where(mask, examples, self.examples[level])
        self.success[level] |= where
        self.known[level][where] = INFERRED
