"""The losses of a discriminator and of the generator that is to fool it, for several networks side by side."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.training.options import Loss


def judged(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """A discriminator's loss: the cross-entropy of real against made.

    Args:
        real_score: Logits of real samples, shape (networks, n).
        fake_score: Logits of made samples, shape (networks, m).

    Returns:
        Shape (networks,).

    Source: Goodfellow et al. 2014, eq. 1.

    >>> import torch
    >>> judged(torch.zeros(1, 3), torch.zeros(1, 3))
    tensor([1.3863])
    """
    return F.softplus(-real_score).mean(1) + F.softplus(fake_score).mean(1)


def fooled(fake_score: Tensor, loss: Loss) -> Tensor:
    """A generator's loss: that the made is taken for real, or minus the discriminator's loss on it.

    Args:
        fake_score: Logits of made samples, shape (networks, m).
        loss: ``non-saturating``, -log D; ``saturating``, log(1 - D).

    Returns:
        Shape (networks,).

    Source: Goodfellow et al. 2014, section 3.

    >>> import torch
    >>> fooled(torch.zeros(1, 3), "non-saturating"), fooled(torch.zeros(1, 3), "saturating")
    (tensor([0.6931]), tensor([-0.6931]))
    """
    return F.softplus(-fake_score).mean(1) if loss == "non-saturating" else -F.softplus(fake_score).mean(1)
