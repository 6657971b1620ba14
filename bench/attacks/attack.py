"""Attacks as Python objects: checked inputs, counted passes, verified results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.attacks.budget import Budget, BudgetedModel, BudgetSpentError
from bench.attacks.catalogue import ATTACKS
from bench.attacks.counting import CountedModel
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.inputs import FirstAnswerChecked, check_batch
from bench.attacks.options import GradientOptions
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.attacks.watching import Watch, WatchedModel
from bench.catalogue import import_by_name, is_import_name
from bench.defenses.stage import substituting
from bench.errors import AttackError
from bench.manifest.running import user_code
from bench.randomness import derive_seed


@dataclass(frozen=True)
class AttackResult:
    """What an attack achieved on a batch.

    Attributes:
        x_adv: Adversarial examples, shape and range of the inputs. Where an attack returned a point outside the
            ball or the box, or one that is not finite, this is that point, and `valid` says so.
        success: Whether `x_adv` is valid and misclassified (classified as the target, for a targeted attack),
            shape (n,), re-checked after the attack.
        valid: Whether `x_adv` is finite and inside the ball and the box, shape (n,).
        distance: Norm of the perturbation in the data's units, shape (n,).
        forwards: Forward passes of each sample, shape (n,).
        backwards: Backward passes of each sample, shape (n,).
    """

    x_adv: Tensor
    success: Tensor
    valid: Tensor
    distance: Tensor
    forwards: Tensor
    backwards: Tensor


@dataclass(frozen=True)
class Crafted:
    """What an attack left for one batch, before anybody verified it.

    Attributes:
        examples: One batch of examples for each radius asked for.
        forwards: Forward passes of each sample, shape (n,), on the CPU.
        backwards: Backward passes of each sample, shape (n,), on the CPU.
    """

    examples: list[Tensor]
    forwards: Tensor
    backwards: Tensor


@dataclass(frozen=True)
class Attack:
    """An attack with its threat model; call it on a model and a batch.

    Attributes:
        name: Name in the catalogue, or `package.module:callable`.
        threat: Ball and box.
        seed: Seed its random choices derive from.
        options: The method's own options.
        budget: Passes a sample may cost; None for any number.
    """

    name: str
    threat: Threat
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget | None = None

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        *,
        targets: Tensor | None = None,
        ids: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> AttackResult:
        """Attack a batch.

        Args:
            model: Inputs to logits (n, classes); a module should be in evaluation mode.
            x: Clean inputs inside the box, floats, shape (n, ...).
            y: True classes, shape (n,), int64.
            targets: Classes to reach, shape (n,); None for an untargeted attack.
            ids: Names of the samples, which their random numbers derive from; their positions when left out.
            batch_size: Samples in memory at a time; all of them when left out. Results do not depend on it.

        Raises:
            AttackError: Inputs that are no floats, outside the box, empty, or labels that do not fit.
            ModelError: The model gives no gradient, no finite logits, or an answer on another device.
        """
        check_batch(model, x, y, targets, self.threat)
        names = list(ids) if ids is not None else [str(index) for index in range(len(x))]
        # written into as the batches end: small results kept from each would hold on to memory around them
        x_adv, flags, figures = torch.empty_like(x), torch.empty(2, len(x), dtype=torch.bool), torch.empty(3, len(x))
        for start in range(0, len(x), batch_size or len(x)):
            part = slice(start, start + (batch_size or len(x)))
            aims = None if targets is None else targets[part]
            crafted = self.craft(model, x[part], y[part], aims, names[part], [self.threat])
            x_adv[part] = crafted.examples[0]
            seen = verify(model, x[part], y[part], crafted.examples[0], threat=self.threat, targets=aims)
            flags[:, part] = torch.stack([seen.reached, seen.valid])
            figures[:, part] = torch.stack([seen.distance, crafted.forwards, crafted.backwards])
        return AttackResult(x_adv, *flags.unbind(), *figures.unbind())

    @property
    def shared_curve(self) -> str:
        """How one run of the method serves several radii: ``scaled``, ``nearest``, or nothing where it does not."""
        traits = {} if is_import_name(self.name) else ATTACKS[self.name].traits
        return "nearest" if traits.get("nearest") else "scaled" if "curve" in traits else ""

    def craft(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        targets: Tensor | None,
        ids: Sequence[str],
        threats: Sequence[Threat],
        watch: Watch | None = None,
    ) -> Crafted:
        """Run the method on one checked batch, for several radii where it can serve them together.

        Args:
            model: Inputs to logits.
            x: Clean inputs, shape (n, ...).
            y: True classes, shape (n,).
            targets: Classes to reach, or None.
            ids: Names of the samples.
            threats: Balls, smallest radius first; one, unless `shared_curve` says how the method serves several.
            watch: Is told of every pass; the budget then ends the attack when all samples have spent it.

        Raises:
            AttackError: The method returns something else than examples.
        """
        goal, nearest = Goal(y, targets), self.shared_curve == "nearest"
        own, common = self._split_options()
        if is_import_name(self.name):
            method: Callable[..., Any] = user_code("attack", self.name)
        else:
            entry = ATTACKS[self.name]
            method = import_by_name(entry.traits["curve"]) if len(threats) > 1 and not nearest else entry.load()
        aim = {"threat": threats[0]} if len(threats) == 1 or nearest else {"threats": threats}
        counted = self._counted(model, x, goal, nearest, common, watch)
        seeds = [derive_seed(self.seed, self.name, name) for name in ids]
        draws = Draws(torch.tensor(seeds, dtype=torch.int64, device=x.device))
        with substituting(bool(common.get("bpda"))):
            try:
                found = method(counted, x.clone(), goal, draws=draws, **aim, **own)
            except BudgetSpentError:
                found = x if len(threats) == 1 or nearest else [x] * len(threats)
        examples = [self._examples(each, x) for each in (found if isinstance(found, list) else [found])]
        if isinstance(counted, BudgetedModel):
            kept = (counted.score > 0) if not nearest else (counted.score > -torch.inf)
            rows = kept.nonzero().squeeze(1)
            examples = [each.index_copy(0, rows, counted.best[rows]) for each in examples]
        if nearest:
            examples = [
                examples[0] if math.isinf(threat.epsilon) else threat.project(examples[0], x) for threat in threats
            ]
        return Crafted(examples, counted.forwards.float().cpu(), counted.backwards.float().cpu())

    def _split_options(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The method's own options, and those that all gradient attacks share."""
        if is_import_name(self.name) or not issubclass(ATTACKS[self.name].options, GradientOptions):
            return dict(self.options), {}
        shared = GradientOptions.model_fields
        own = {key: value for key, value in self.options.items() if key not in shared}
        return own, {key: value for key, value in self.options.items() if key in shared}

    def _counted(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        goal: Goal,
        nearest: bool,
        common: Mapping[str, Any],
        watch: Watch | None,
    ) -> CountedModel:
        """The model as the method gets to see it."""
        checked = FirstAnswerChecked(model, goal)
        facts = {"averaged": common.get("eot", 1), "temperature": common.get("temperature", 1.0)}
        if watch is not None:
            return WatchedModel(checked, x, goal, self.threat, watch, self.budget, **facts)
        if self.budget is None:
            return CountedModel(checked, len(x), device=x.device, **facts)
        threat = self.threat
        if nearest:
            threat = Threat(threat.norm, math.inf, threat.low, threat.high)
        return BudgetedModel(checked, x, goal, threat, self.budget, **facts)

    def _examples(self, found: Any, x: Tensor) -> Tensor:
        """What the method returned, if it is examples."""
        if not isinstance(found, Tensor) or found.shape != x.shape:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise AttackError(f"attack '{self.name}' returned {what}; expected a tensor of shape {tuple(x.shape)}")
        if found.dtype != x.dtype:
            raise AttackError(f"attack '{self.name}' returned examples as {found.dtype}; expected {x.dtype}")
        return found.detach()


def create(
    name: str,
    *,
    norm: Norm,
    epsilon: float,
    seed: int = 0,
    low: float = 0.0,
    high: float = 1.0,
    budget: Budget | None = None,
    **options: Any,
) -> Attack:
    """An attack by its catalogue name, or by the import name of your own.

    Args:
        name: A name of `bench list attacks`, or ``package.module:callable``.
        norm: ``linf``, ``l2`` or ``l1``.
        epsilon: Radius in the data's units, at least 0; ``math.inf`` asks an attack that looks for the nearest
            example for just that.
        seed: Seed its random choices derive from; a sample's choices depend on this and on its id alone.
        low: Smallest valid input value.
        high: Largest valid input value.
        budget: Passes a sample may cost; the best point found within them is the result.
        **options: The method's own options.

    Raises:
        AttackError: The attack does not work under this norm or radius, or epsilon is negative.
        BenchError: Unknown name.
        pydantic.ValidationError: Unknown or wrong options.

    >>> import torch
    >>> model = torch.nn.Linear(2, 2).eval()
    >>> _ = model.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "bias": torch.zeros(2)})
    >>> attack = create("fgsm", norm="linf", epsilon=0.2)
    >>> result = attack(model, torch.tensor([[0.6, 0.4]]), torch.tensor([0]))
    >>> result.x_adv, result.success
    (tensor([[0.4000, 0.6000]]), tensor([True]))
    """
    if not epsilon >= 0:
        raise AttackError(f"expected an epsilon of at least 0, found {epsilon:g}")
    if not is_import_name(name):
        entry = ATTACKS[name]
        if norm not in entry.traits.get("norms", ()):
            raise AttackError(
                f"'{name}' does not work under {norm}; it takes {', '.join(entry.traits.get('norms', ()))}"
            )
        if math.isinf(epsilon) and not entry.traits.get("nearest"):
            raise AttackError(f"'{name}' needs a finite epsilon, found {epsilon:g}")
        options = entry.options(**options).model_dump()
    return Attack(name, Threat(norm, float(epsilon), low, high), seed, options, budget)
