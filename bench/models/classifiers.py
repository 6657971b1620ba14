"""Reference classifiers of images in [0, 1]; normalisation, where there is any, is part of the model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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
