"""The networks of the conditional GAN on MNIST, several of one shape side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models import stacked
from bench.models.perceptrons import uniform


class ConditionalGenerator(nn.Module):
    """Noise and a class to an image in [0, 1]: a hidden layer of each, a joint one, a sigmoid layer.

    The class is part of the noise: which of its last numbers is the largest.

    Args:
        shape: Of an image.
        classes: Number of classes.
        latent: Length of the noise that is not the class; the first layer sees it uniform in [-1, 1].
        widths: Units of the noise's hidden layer, of the class's, and of the joint one.
        deviation: Standard deviation of the first weights.

    Attributes:
        latent_size: Length of a noise vector, the class included; noise is drawn from N(0, I).
        joint: Units of the joint hidden layer.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        latent: int = 100,
        widths: Sequence[int] = (200, 1000, 1200),
        deviation: float = 0.05,
    ) -> None:
        super().__init__()
        of_noise, of_class, self.joint = widths
        self.shape, self.classes, self.latent_size = tuple(shape), classes, latent + classes
        self.from_noise = stacked.Linear(1, latent, of_noise)
        self.from_class = stacked.Linear(1, classes, of_class)
        self.merge = stacked.Linear(1, of_noise + of_class, self.joint)
        self.last = stacked.Linear(1, self.joint, math.prod(shape))
        stacked.initialise(self, deviation)

    def forward(self, z: Tensor, keep: Tensor | None = None) -> Tensor:
        """Images (networks, calls, n, *shape) of noise (networks, calls, n, latent + classes).

        Args:
            z: Noise; of one network, also (n, latent + classes).
            keep: What to multiply the joint hidden layer by, for dropout.
        """
        if z.ndim == 2:
            return self(z[None, None])[0, 0]  # type: ignore[no-any-return]
        noise = uniform(z[..., : -self.classes])
        hidden = [F.relu(self.from_noise(noise)), F.relu(self.from_class(self.classes_of(z)))]
        joint = F.relu(self.merge(torch.cat(hidden, -1)))
        images = torch.sigmoid(self.last(joint if keep is None else joint * keep))
        return images.reshape(*z.shape[:-1], *self.shape)

    def classes_of(self, z: Tensor) -> Tensor:
        """The classes that noise asks for, as rows of 0 with a 1; shape (..., classes)."""
        return F.one_hot(z[..., -self.classes :].argmax(-1), self.classes).to(z.dtype)


JUDGED = (240, 50, 240)
"""Maxout units of the discriminator: of the image's layer, of the class's, and of the joint one."""


class ConditionalDiscriminator(nn.Module):
    """Judges an image together with a class: a maxout layer of each, a joint one, a linear layer.

    Args:
        inputs: Length of a flattened image.
        classes: Number of classes.
        deviation: Standard deviation of the first weights.
    """

    def __init__(self, *, inputs: int, classes: int, deviation: float = 0.005) -> None:
        super().__init__()
        of_image, of_class, joint = JUDGED
        self.from_image = stacked.Maxout(1, inputs, of_image, 5)
        self.from_class = stacked.Maxout(1, classes, of_class, 5)
        self.merge = stacked.Maxout(1, of_image + of_class, joint, 4)
        self.last = stacked.Linear(1, joint, 1)
        stacked.initialise(self, deviation)

    def forward(self, x: Tensor, classes: Tensor, keep: Tensor) -> Tensor:
        """Logits (networks, n) of images (networks, n, inputs) with classes (networks, n, classes).

        Args:
            x: Flattened images.
            classes: Rows of 0 with a 1.
            keep: What to multiply the joint hidden layer by, for dropout.
        """
        joint = self.merge(torch.cat([self.from_image(x), self.from_class(classes)], -1))
        return self.last(joint * keep).squeeze(-1)  # type: ignore[no-any-return]


def conditional(*, shape: Sequence[int], classes: int, latent: int) -> ConditionalGenerator:
    """The generator of the conditional GAN."""
    return ConditionalGenerator(shape=shape, classes=classes, latent=latent)
