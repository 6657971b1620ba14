"""Stochastic gradient descent with momentum: the loop several recipes share, and the plainest of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.randomness import derive_seed, forked_torch_seed
from bench.training.common import Report, TrainingData, TrainingLog, batches


class Judged(NamedTuple):
    """What a loss says of a batch.

    Attributes:
        loss: What to descend, a scalar.
        correct: Names of figures to the number of samples that count for them, each a scalar.
    """

    loss: Tensor
    correct: Mapping[str, Tensor]


@dataclass(frozen=True)
class Descent:
    """How to descend.

    Attributes:
        epochs: Passes over the data.
        batch_size: Samples a step.
        learning_rate: Rate of the first step.
        decay: What the rate is divided by after every step.
        momentum: Momentum of the first epoch.
        final_momentum: Momentum it grows to, linearly by epochs; None keeps the first.
        momentum_epochs: The epoch, counted from 1, in which the final momentum is reached.
        nesterov: Take the gradient's step from where the momentum leads (in torch's form).
        max_column_norm: Longest allowed vector of weights of a unit, see `bound_columns`; None for no bound.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float = 1.0
    momentum: float = 0.0
    final_momentum: float | None = None
    momentum_epochs: int = 1
    nesterov: bool = False
    max_column_norm: float | None = None

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        >>> Descent(1, 1, 0.1, decay=2.0).rate(3)
        0.0125
        """
        return self.learning_rate * self.decay**-step

    def momentum_in(self, epoch: int) -> float:
        """The momentum of an epoch, counted from 0.

        >>> descent = Descent(9, 1, 0.1, momentum=0.5, final_momentum=0.7, momentum_epochs=3)
        >>> [round(descent.momentum_in(epoch), 3) for epoch in range(4)]
        [0.5, 0.6, 0.7, 0.7]
        """
        if self.final_momentum is None:
            return self.momentum
        share = min(1.0, epoch / (self.momentum_epochs - 1)) if self.momentum_epochs > 1 else 1.0
        return self.momentum + share * (self.final_momentum - self.momentum)


def bound_columns(model: nn.Module, longest: float) -> None:
    """Shorten, in place, the vector of incoming weights of every unit that is longer than `longest`.

    For a linear layer that is a row of torch's weight, a column in the notation the constraint is named in; for
    a convolution it is one filter. Biases are left alone.

    Source: Hinton et al. 2012, appendix A.1; Goodfellow et al. 2013, section 5.1.

    >>> layer = nn.Linear(2, 2, bias=False)
    >>> _ = layer.load_state_dict({"weight": torch.tensor([[3.0, 4.0], [0.3, 0.4]])})
    >>> bound_columns(layer, 1.0)
    >>> [[round(value, 3) for value in row] for row in layer.weight.tolist()]
    [[0.6, 0.8], [0.3, 0.4]]
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                lengths = parameter.flatten(1).norm(dim=1).clamp_min(1e-12)
                factors = (longest / lengths).clamp_max(1.0)
                parameter.mul_(factors.reshape(-1, *([1] * (parameter.ndim - 1))))


def descend(
    model: nn.Module,
    judge: Callable[[Tensor], Judged],
    size: int,
    descent: Descent,
    *,
    seed: int,
    report: Report,
    log: TrainingLog,
    prefix: str = "",
) -> None:
    """Descend a loss; the model is left in evaluation mode.

    Dropout draws from torch's global generator, which is seeded here and put back afterwards: the result depends on
    `seed` and on nothing drawn before.

    Args:
        model: What to train.
        judge: Rows of the data, shape (b,), on the CPU, to the loss of that batch.
        size: Number of samples.
        descent: How to descend.
        seed: Seed of the order of samples and of the model's own draws.
        report: Told the share that is done.
        log: Gets the mean loss and the shares of correct samples, one entry an epoch.
        prefix: Stands before the names of these figures.
    """
    optimiser = torch.optim.SGD(model.parameters(), lr=descent.learning_rate)
    a_round = math.ceil(size / descent.batch_size)
    sums: dict[str, Tensor] = {}
    model.train()
    order = batches(size, descent.batch_size, epochs=descent.epochs, seed=seed)
    with forked_torch_seed(derive_seed(seed, "dropout")):
        for step, (epoch, rows) in enumerate(order):
            momentum = descent.momentum_in(epoch)
            for group in optimiser.param_groups:
                group["lr"] = descent.rate(step)
                group["momentum"] = momentum
                group["nesterov"] = descent.nesterov and momentum > 0
            judged = judge(rows)
            optimiser.zero_grad(set_to_none=True)
            judged.loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if descent.max_column_norm is not None:
                bound_columns(model, descent.max_column_norm)
            # kept on the device until the epoch ends: reading a figure there would wait for every step
            for name, value in {"loss": judged.loss.detach() * len(rows), **judged.correct}.items():
                sums[name] = sums.get(name, 0) + value.double()
            if (step + 1) % a_round == 0:
                log.add(**{prefix + name: value.item() / size for name, value in sums.items()})
                sums = {}
            report((step + 1) / (descent.epochs * a_round))
    model.eval()


def sgd(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    **how: Any,
) -> TrainingLog:
    """Descend the cross-entropy of clean images.

    Args:
        model: A classifier: images (n, ...) to logits (n, classes).
        data: Labelled images.
        seed: Seed of the order of samples and of dropout.
        report: Told the share that is done.
        **how: The fields of `Descent`.

    Returns:
        `loss` and `accuracy`, one entry an epoch.

    Source: Goodfellow et al. 2013, section 5.1, and the released configuration for permutation-invariant MNIST.
    """
    log = TrainingLog()
    descend(model, clean_loss(model, data), len(data.x), Descent(**how), seed=seed, report=report, log=log)
    return log


def clean_loss(model: nn.Module, data: TrainingData, temperature: float = 1.0) -> Callable[[Tensor], Judged]:
    """The cross-entropy of clean images, for `descend`, with logits divided by a temperature."""
    labels = data.labels()

    def judge(rows: Tensor) -> Judged:
        rows = rows.to(data.x.device)
        y = labels[rows]
        logits = model(data.x[rows])
        loss = F.cross_entropy(logits / temperature, y)
        return Judged(loss, {"accuracy": (logits.argmax(1) == y).sum()})

    return judge
