"""Reference classifiers of images in [0, 1]; normalisation, where there is any, is part of the model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A feature trunk followed by a linear head, so that features can be measured by themselves.

    Called on images (n, channels, height, width) it gives logits (n, classes).
    """

    def __init__(self, trunk: nn.Module, feature_size: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(feature_size, classes)

    def features(self, x: Tensor) -> Tensor:
        """Activations before the head, shape (n, feature_size)."""
        return self.trunk(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (n, classes)."""
        return self.head(self.trunk(x))  # type: ignore[no-any-return]


def softmax(*, shape: Sequence[int], classes: int) -> Classifier:
    """Softmax regression: one linear layer on the flattened image."""
    size = shape[0] * shape[1] * shape[2]
    return Classifier(nn.Flatten(), size, classes)


class Logistic(Classifier):
    """Logistic regression: one linear unit z on the flattened image, given as the logits (0, z) of two classes."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (n, 2); the softmax of (0, z) is the logistic function of z."""
        z = super().forward(x)
        return torch.cat([torch.zeros_like(z), z], 1)


def logistic(*, shape: Sequence[int]) -> Logistic:
    """Logistic regression of two classes on the flattened image of (channels, height, width) = `shape`."""
    return Logistic(nn.Flatten(), shape[0] * shape[1] * shape[2], 1)


def mlp(*, shape: Sequence[int], classes: int, hidden: Sequence[int]) -> Classifier:
    """A ReLU network with the given hidden widths on the flattened image."""
    sizes = [shape[0] * shape[1] * shape[2], *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return Classifier(nn.Sequential(*layers), sizes[-1], classes)


def cnn_small(*, shape: Sequence[int], classes: int, width: int) -> Classifier:
    """Two strided 4x4 convolutions of `width` and 2 `width` channels, a layer of 100, a linear head."""
    channels, height, breadth = shape
    trunk = nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (breadth // 4), 100),
        nn.ReLU(),
    )
    return Classifier(trunk, 100, classes)


class Centred(nn.Module):
    """Moves values of [0, 1] to [-0.5, 0.5]."""

    def forward(self, x: Tensor) -> Tensor:
        """`x`, of any shape, less a half."""
        return x - 0.5


def cnn_pooled(*, shape: Sequence[int], classes: int, width: int, dropout: float) -> Classifier:
    """Four unpadded 3x3 convolutions in two pairs with a pooling after each, two layers of 200, a linear head.

    Args:
        shape: Channels, height and width of an image, both at least 16.
        classes: Number of classes.
        width: Channels of the first pair; the second has twice as many.
        dropout: Share of the first layer of 200 that is dropped while training.

    Source: Papernot, McDaniel, Wu, Jha, Swami 2016, table 1; input range and dropout as in the training code of
    Carlini and Wagner 2017.
    """
    channels, height, breadth = shape
    trunk = nn.Sequential(
        Centred(),
        nn.Conv2d(channels, width, 3),
        nn.ReLU(),
        nn.Conv2d(width, width, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3),
        nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * _pooled(height) * _pooled(breadth), 200),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(200, 200),
        nn.ReLU(),
    )
    return Classifier(trunk, 200, classes)


def _pooled(length: int) -> int:
    """What two pairs of unpadded 3x3 convolutions, each followed by a 2x2 pooling, leave of a side of 16 or more."""
    return length // 4 - 3
