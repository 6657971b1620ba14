"""Maxout networks of Goodfellow et al. 2013, for images whose pixels are taken in no particular order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.models.classifiers import Classifier

_SPREAD = 0.005  # weights start in U(-0.005, 0.005), biases at 0


class Maxout(nn.Module):
    """Units that give the largest of several linear functions of their input.

    Called on (n, inputs) it gives (n, units).

    >>> layer = Maxout(inputs=1, units=1, pieces=2)
    >>> _ = layer.linear.load_state_dict({"weight": torch.tensor([[1.0], [-1.0]]), "bias": torch.zeros(2)})
    >>> layer(torch.tensor([[3.0], [-2.0]])).tolist()
    [[3.0], [2.0]]
    """

    def __init__(self, *, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """The largest piece of every unit."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)  # type: ignore[no-any-return]


class Blanking(nn.Module):
    """Sets a share of the inputs to 0 while training; unlike dropout it does not scale up the others.

    The paper's configuration drops pixels so: what is left of an image looks as it does in a whole one.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """`x`, shape (n, ...), with entries set to 0 while the module is in training mode."""
        if not self.training or self.share == 0:
            return x
        return x * torch.empty_like(x).bernoulli_(1 - self.share)


def maxout(
    *, shape: Sequence[int], classes: int, hidden: Sequence[int], pieces: int, input_dropout: float, dropout: float
) -> Classifier:
    """Layers of maxout units on the flattened image, with dropout before each of them and before the head.

    The bound on the norm of each unit's weights that belongs to these networks is the recipe's to keep
    (`sgd`, `max_column_norm`).

    Args:
        shape: Channels, height and width of an image.
        classes: Number of classes.
        hidden: Units of each layer.
        pieces: Linear functions a unit takes the largest of.
        input_dropout: Share of pixels set to 0 while training.
        dropout: Share of hidden units dropped while training; the others are scaled up.

    Source: Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, section 5.1, and the released configuration.
    """
    sizes = [shape[0] * shape[1] * shape[2], *hidden]
    layers: list[nn.Module] = [nn.Flatten(), Blanking(input_dropout)]
    for inputs, units in itertools.pairwise(sizes):
        layers += [Maxout(inputs=inputs, units=units, pieces=pieces), nn.Dropout(dropout)]
    model = Classifier(nn.Sequential(*layers), sizes[-1], classes)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -_SPREAD, _SPREAD)
    return model
