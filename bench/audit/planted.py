"""Attacks on models whose weak points we made ourselves: an attack that does not find these is broken."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.attacks.attack import Attack
from bench.attacks.budget import Budget
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.attacks.watching import Watch
from bench.audit.finding import Checked, Finding
from bench.catalogue import is_import_name

SAMPLES = 8
DISTANCES = (0.3, 0.5, 0.8)
"""How far the linear model's boundary is, in radii: 0.8 for attacks by gradients, 0.3 for those without."""
_CLASSES = 100
_LEAST = 0.9
"""Share of the samples that has to fall."""
EXEMPT = {"noise"}
"""Controls, which are not meant to find anything."""


@dataclass(frozen=True)
class Ground:
    """Inputs and the direction in which the planted models are weak.

    Attributes:
        x: Inputs at the side of the box that the direction leads away from, shape (n, ...).
        direction: Of entries -1, 0 and 1, in patches, shape of one input.
        reach: Length of a step along the direction, in each entry, that stays in the ball and in the box.
    """

    x: Tensor
    direction: Tensor
    reach: float

    def along(self, x: Tensor) -> Tensor:
        """How far along the direction inputs are, in entries, shape (n,)."""
        return (x.double() * self.direction).flatten(1).sum(1) / self.direction.abs().sum()


def ground(shape: Sequence[int], threat: Threat) -> Ground:
    """Where the models are planted: inputs of a shape, for a ball and a box.

    Under ``l1`` the direction has few entries, since an attack there changes few.
    """
    generator = torch.Generator().manual_seed(0)
    size = tuple(shape)
    low, high = threat.low, threat.high
    if not math.isfinite(high - low):
        low, high = -1.0, 1.0
    noise = 0.02 * (high - low) * torch.rand(SAMPLES, *size, generator=generator)
    direction = torch.where(torch.rand(_coarse(size), generator=generator) < 0.5, -1.0, 1.0)
    for axis, length in enumerate(size):
        direction = direction.repeat_interleave(-(-length // direction.shape[axis]), axis).narrow(axis, 0, length)
    if threat.norm == "l1":
        kept = torch.zeros(math.prod(size))
        kept[torch.randperm(len(kept), generator=generator)[: max(1, len(kept) // 20)]] = 1
        direction = direction * kept.reshape(size)
    entries = float(direction.abs().sum())
    longest = {"linf": threat.epsilon, "l2": threat.epsilon / entries**0.5, "l1": threat.epsilon / entries}[threat.norm]
    # at the far side of the box, so that the box ends a step no sooner than the ball does
    x = torch.where(direction >= 0, low + 0.02 * (high - low) + noise, high - 0.02 * (high - low) - noise)
    return Ground(x, direction, min(longest, 0.92 * (high - low)))


def _coarse(size: Sequence[int]) -> list[int]:
    """The shape of the patches: seven or fewer a side of an image, all entries of anything else."""
    if len(size) < 2:
        return list(size)
    return [*size[:-2], *(-(-length // max(1, length // 7)) for length in size[-2:])]


def planted(
    *,
    name: str,
    options: Mapping[str, Any],
    norm: Norm,
    epsilons: Sequence[float],
    box: tuple[float, float],
    shape: Sequence[int],
    targeted: bool,
    budget: Budget | None = None,
    device: torch.device | str = "cpu",
) -> Checked:
    """A linear model whose answer is known in closed form, a bump with a known example in it, and a valley to cross.

    - Linear: the boundary lies at 0.8 (0.3 for attacks without gradients) of the radius, and the steepest direction
      reaches it exactly there.
    - Bump: an adversarial example lies 0.7 of the way, with others around it, in a smooth well of the loss (not for
      attacks that look for the nearest example, which expect adversarial points without end behind a boundary).
    - Valley: the loss rises all the way, the model errs half-way only: an attack that returns its last point loses.

    Args:
        name: The attack, or a user's by import name.
        options: Its options.
        norm: Norm of the ball.
        epsilons: Radii.
        box: Smallest and largest valid input.
        shape: Shape of an input.
        targeted: Whether the attack moves towards a class.
        budget: What the attack may cost a sample.
        device: Where to attack.

    Source: the idea of a planted example, Zimmermann, Brendel, Tramer, Carlini 2022.
    """
    if name in EXEMPT:
        return Checked([Finding("planted examples", 1.0, _LEAST, "pass", sentence="a control, not meant to find any")])
    findings = []
    for epsilon in epsilons:
        threat = Threat(norm, epsilon, *box)
        if epsilon == 0:
            continue
        method = Attack(name, threat, 0, options, budget)
        planter = _Planter(method, ground(shape, threat), targeted, torch.device(device))
        findings += [replace(finding, epsilon=epsilon) for finding in planter.findings()]
    return Checked(findings)


class _Planter:
    """Runs one attack at one radius against the planted models."""

    def __init__(self, method: Attack, soil: Ground, targeted: bool, device: torch.device) -> None:
        self.method, self.soil, self.device = method, soil, device
        self.labels = torch.zeros(SAMPLES, dtype=torch.int64, device=device)
        self.targets = torch.ones_like(self.labels) if targeted else None

    def findings(self) -> list[Finding]:
        x = self.soil.x
        start = self.soil.along(x)
        blind, findings = True, []
        share = 0.0
        for distance in (DISTANCES[-1], DISTANCES[0]):
            share, backwards, _ = self.run(linear(self.soil, start.mean().item(), distance), self.levelled(x))
            blind = backwards == 0
            if not blind or distance == DISTANCES[0]:
                findings.append(
                    self.finding(
                        "a linear model", share, f"whose boundary lies at {distance:g} of the radius", blind=blind
                    )
                )
                break
        # a minimum-norm attack takes all that lies behind a boundary for adversarial, as it does on its way back
        if not blind and self.method.shared_curve != "nearest":
            share, _, _ = self.run(bump(self.soil, x[:1]), x[:1].expand_as(x).clone())
            findings.append(self.finding("a bump", share, "with a known adversarial example at 0.7 of the radius"))
        _, _, silent = self.run(valley(self.soil, start.mean().item()), self.levelled(x), watched=True)
        sentence = (
            f"'{self.method.name}' at {self.method.threat.epsilon:.3g} came through adversarial points of a planted "
            f"model for {silent:.0%} of the samples and returned points that are not: it does not keep its best"
        )
        passed = silent == 0
        findings.append(
            Finding(
                f"planted valley at {self.method.threat.epsilon:.3g}, lost successes", silent, 0.0,
                "pass" if passed else "fail", "" if passed else "broken-attack", "" if passed else sentence,
                "" if passed else "return the best point seen, and not the last",
            )
        )  # fmt: skip
        return findings

    def levelled(self, x: Tensor) -> Tensor:
        """The inputs, moved to be equally far along the direction."""
        along = self.soil.along(x)
        shift = (along.mean() - along).float().reshape(-1, *[1] * (x.ndim - 1))
        return x + shift * self.soil.direction

    def run(self, model: Callable[[Tensor], Tensor], x: Tensor, *, watched: bool = False) -> tuple[float, float, float]:
        """Share of the samples that fall, backward passes, share of silent successes."""
        watch = Watch(len(x)) if watched else None
        points, ids = x.to(self.device), [f"planted/{index}" for index in range(len(x))]
        crafted = self.method.craft(model, points, self.labels, self.targets, ids, [self.method.threat], watch)
        seen = verify(model, points, self.labels, crafted.examples[0], threat=self.method.threat, targets=self.targets)
        silent = 0.0 if watch is None else float((watch.reached & ~seen.reached).float().mean())
        return float(seen.reached.float().mean()), float(crafted.backwards.sum()), silent

    def finding(self, what: str, share: float, where: str, *, blind: bool = False) -> Finding:
        title = f"planted examples found on {what} at {self.method.threat.epsilon:.3g}"
        if share >= _LEAST:
            return Finding(title, share, _LEAST, "pass")
        name = self.method.name.rpartition(":")[2] if is_import_name(self.method.name) else self.method.name
        sentence = (
            f"'{name}' at {self.method.threat.epsilon:.3g} finds {share:.0%} of the adversarial examples planted on "
            f"{what} {where}; a working attack finds all of them"
        )
        advice = "look at the sign and the size of its steps and at its projection"
        if blind:  # an attack without gradients may just have too few queries
            return Finding(title, share, _LEAST, "warn", "too-weak", sentence, "give it more queries")
        return Finding(title, share, _LEAST, "fail", "broken-attack", sentence, advice)


def linear(soil: Ground, start: float, distance: float) -> Callable[[Tensor], Tensor]:
    """Many classes; the second wins from a distance along the direction on, the others never."""
    return _model(soil, lambda along: 5 * ((along - start) / (distance * soil.reach) - 1), lambda along: along * 0 - 40)


def bump(soil: Ground, centre: Tensor) -> Callable[[Tensor], Tensor]:
    """The second class wins around a point at 0.7 of the radius, from 0.16 of it to 1.24."""
    top = centre + 0.7 * soil.reach * soil.direction
    way = float((top - centre).square().sum())

    def model(x: Tensor) -> Tensor:
        away = (x.double() - top.to(x.device)).flatten(1).square().sum(1) / way
        return _logits(5 * (0.6 - away), torch.full_like(away, -40), x)

    return model


def valley(soil: Ground, start: float) -> Callable[[Tensor], Tensor]:
    """The second class wins from a third to two thirds of the way, and the loss rises all the way.

    The many others rise together beyond the middle: none of them wins, and the first class loses probability to them
    while the second falls behind.
    """

    def second(along: Tensor) -> Tensor:
        return _through((along - start) / soil.reach, ((-1.0, -16.0), (0.45, 1.5), (0.6, 1.5), (0.8, -0.6)))

    def others(along: Tensor) -> Tensor:
        return _through((along - start) / soil.reach, ((0.45, -8.0), (0.6, -0.3), (0.8, -0.1)))

    return _model(soil, second, others)


def _through(way: Tensor, points: Sequence[tuple[float, float]]) -> Tensor:
    """The function that is linear between points, and level before the first and after the last."""
    value = torch.full_like(way, points[0][1])
    for (left, below), (right, above) in itertools.pairwise(points):
        value = value + (above - below) * ((way - left) / (right - left)).clamp(0.0, 1.0)
    return value


def _model(
    soil: Ground, second: Callable[[Tensor], Tensor], others: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    direction, entries = soil.direction.double(), float(soil.direction.abs().sum())

    def model(x: Tensor) -> Tensor:
        along = (x.double() * direction.to(x.device)).flatten(1).sum(1) / entries
        return _logits(second(along), others(along), x)

    return model


def _logits(second: Tensor, others: Tensor, x: Tensor) -> Tensor:
    """Logits of many classes, of which the first is 0 and those from the third on are almost equal."""
    rest = others[:, None] - 1e-4 * torch.arange(_CLASSES - 2, device=x.device)
    return torch.cat([torch.zeros_like(second)[:, None], second[:, None], rest], 1).to(x.dtype)
