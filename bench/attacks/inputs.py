"""What is wrong with a batch or with a model's answer, each said in a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.goal import Goal
from bench.attacks.threat import Threat
from bench.attacks.verify import check_logits
from bench.errors import AttackError, ModelError

PROBABILITIES = (
    "the model returns probabilities (each row lies in [0, 1] and sums to 1) where logits are expected, so that "
    "attacks are weaker than they could be: leave out its last softmax, or return the logarithm"
)


def check_batch(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, targets: Tensor | None, threat: Threat
) -> None:
    """Complain about a batch that cannot be attacked.

    Raises:
        AttackError: The first thing that is wrong.
    """
    if not x.is_floating_point():
        raise AttackError(f"expected images as floats in [{threat.low:g}, {threat.high:g}], found {x.dtype}")
    if x.dtype not in (torch.float32, torch.float64):
        raise AttackError(
            f"expected images in float32 or float64, found {x.dtype}, too coarse to say whether an example lies in the "
            f"ball; convert the images, and let the model convert what it is given"
        )
    if len(x) == 0:
        raise AttackError("expected at least one image, found an empty batch")
    for noun, classes in (("labels", y), ("targets", targets)):
        if classes is None:
            continue
        if classes.shape != (len(x),) or classes.dtype != torch.int64:
            found = f"{tuple(classes.shape)}, {classes.dtype}"
            raise AttackError(f"expected {noun} of shape ({len(x)},), int64, found {found}")
        if int(classes.min()) < 0:
            raise AttackError(f"expected {noun} from 0 on, found {int(classes.min())}")
    low, high = float(x.min()), float(x.max())
    if not (low >= threat.low - 1e-6 and high <= threat.high + 1e-6):
        raise AttackError(
            f"expected inputs in [{threat.low:g}, {threat.high:g}], found [{low:g}, {high:g}]; "
            f"normalisation belongs inside the model"
        )
    if targets is not None and bool((targets == y).any()):
        raise AttackError(f"{int((targets == y).sum())} targets equal the label; expected other classes")
    if isinstance(model, torch.nn.Module) and model.training:
        raise AttackError("the model is in training mode; call model.eval() before attacking it")


class FirstAnswerChecked:
    """A model whose first answer is looked at: device, shape, finite values, classes; probabilities are warned of."""

    def __init__(self, model: Callable[[Tensor], Tensor], goal: Goal) -> None:
        self._model, self._goal, self._checked = model, goal, False

    def __call__(self, x: Tensor) -> Tensor:
        """The model's answer.

        Raises:
            ModelError: Something is wrong with the first one.
        """
        answer = self._model(x)
        if not self._checked:
            self._check(answer, x)
            self._checked = True
        return answer

    def _check(self, answer: Tensor, x: Tensor) -> None:
        if isinstance(answer, Tensor) and answer.device != x.device:
            raise ModelError(
                f"the model answers on {answer.device} for inputs on {x.device}; "
                f"expected it to stay on its input's device"
            )
        wanted = self._goal.labels if self._goal.targets is None else torch.cat([self._goal.labels, self._goal.targets])
        check_logits(answer, len(x), wanted)
        # a single sample's logits may sum to one by chance
        if len(self._goal.labels) > 1 and are_probabilities(answer):
            warnings.warn(PROBABILITIES, stacklevel=2)


def are_probabilities(answer: Tensor) -> bool:
    """Whether answers (n, classes) are probabilities: all values lie in [0, 1] and all rows sum to one.

    >>> are_probabilities(torch.tensor([[0.2, 0.8], [1.0, 0.0]])), are_probabilities(torch.tensor([[2.0, -1.0]]))
    (True, False)
    """
    values = answer.detach()
    sums = (values.sum(1) - 1).abs().amax()
    return bool(values.amin() >= -1e-5 and values.amax() <= 1 + 1e-5 and sums <= 1e-5)
