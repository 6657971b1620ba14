"""Attacks as Python objects: checked inputs, counted passes, verified results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.attacks.catalogue import ATTACKS
from bench.attacks.counting import CountedModel
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.catalogue import import_by_name, is_import_name
from bench.errors import AttackError
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
        forwards: Forward passes a sample, mean over the batch, shape (n,).
        backwards: Backward passes a sample, mean over the batch, shape (n,).
    """

    x_adv: Tensor
    success: Tensor
    valid: Tensor
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
    """

    name: str
    threat: Threat
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        *,
        targets: Tensor | None = None,
        ids: Sequence[str] | None = None,
    ) -> AttackResult:
        """Attack a batch.

        Args:
            model: Inputs to logits (n, classes); a module should be in evaluation mode.
            x: Clean inputs inside the box, floats, shape (n, ...).
            y: True classes, shape (n,), int64.
            targets: Classes to reach, shape (n,); None for an untargeted attack.
            ids: Names of the samples, which their random numbers derive from; their positions when left out.

        Raises:
            AttackError: Inputs that are no floats, outside the box, empty, or labels that do not fit.
            ModelError: The model gives no gradient or no finite logits.
        """
        self._check(x, y, targets)
        if isinstance(model, torch.nn.Module) and model.training:
            raise AttackError("the model is in training mode; call model.eval() before attacking it")
        names = ids if ids is not None else [str(index) for index in range(len(x))]
        seeds = [derive_seed(self.seed, self.name, name) for name in names]
        draws = Draws(torch.tensor(seeds, dtype=torch.int64, device=x.device))
        counted = CountedModel(model)
        examples = self._method()(counted, x.clone(), Goal(y, targets), threat=self.threat, draws=draws, **self.options)
        if not isinstance(examples, Tensor) or examples.shape != x.shape:
            found = tuple(examples.shape) if isinstance(examples, Tensor) else type(examples).__name__
            raise AttackError(f"attack '{self.name}' returned {found}; expected a tensor of shape {tuple(x.shape)}")
        examples = examples.detach()
        verified = verify(model, x, y, examples, threat=self.threat, targets=targets)
        cost = torch.ones(len(x)) / len(x)
        return AttackResult(
            x_adv=examples,
            success=verified.reached,
            valid=verified.valid,
            forwards=cost * counted.forwards,
            backwards=cost * counted.backwards,
        )

    def _method(self) -> Callable[..., Tensor]:
        return import_by_name(self.name) if is_import_name(self.name) else ATTACKS[self.name].load()

    def _check(self, x: Tensor, y: Tensor, targets: Tensor | None) -> None:
        if not x.is_floating_point():
            raise AttackError(
                f"expected images as floats in [{self.threat.low:g}, {self.threat.high:g}], found {x.dtype}"
            )
        if len(x) == 0:
            raise AttackError("expected at least one image, found an empty batch")
        if y.shape != (len(x),) or y.dtype != torch.int64:
            raise AttackError(f"expected labels of shape ({len(x)},), int64, found {tuple(y.shape)}, {y.dtype}")
        low, high = float(x.min()), float(x.max())
        if not (low >= self.threat.low - 1e-6 and high <= self.threat.high + 1e-6):
            raise AttackError(
                f"expected inputs in [{self.threat.low:g}, {self.threat.high:g}], found [{low:g}, {high:g}]; "
                f"normalisation belongs inside the model"
            )
        if targets is not None and bool((targets == y).any()):
            raise AttackError(f"{int((targets == y).sum())} targets equal the label; expected other classes")


def create(
    name: str, *, norm: Norm, epsilon: float, seed: int = 0, low: float = 0.0, high: float = 1.0, **options: Any
) -> Attack:
    """An attack by its catalogue name, or by the import name of your own.

    Args:
        name: A name of `bench list attacks`, or ``package.module:callable``.
        norm: ``linf`` or ``l2``.
        epsilon: Radius in the data's units, at least 0.
        seed: Seed its random choices derive from; a sample's choices depend on this and on its id alone.
        low: Smallest valid input value.
        high: Largest valid input value.
        **options: The method's own options.

    Raises:
        AttackError: The attack does not work under this norm, or epsilon is negative.
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
    if epsilon < 0:
        raise AttackError(f"expected an epsilon of at least 0, found {epsilon:g}")
    if not is_import_name(name):
        entry = ATTACKS[name]
        if norm not in entry.traits.get("norms", ()):
            raise AttackError(
                f"'{name}' does not work under {norm}; it takes {', '.join(entry.traits.get('norms', ()))}"
            )
        options = entry.options(**options).model_dump()
    return Attack(name, Threat(norm, float(epsilon), low, high), seed, options)
