"""Images made smaller by a random factor, at a random place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.defenses.around import Around, Network


def random_resize(network: Network, *, smallest: float = 0.8) -> Around:
    """A network that sees images made smaller by a random factor and surrounded by zeros, anew at each pass.

    All images of a pass have the same size and place. They come from torch's global generator, as those of any random
    model do.

    Args:
        network: Images, shape (n, channels, height, width), to logits.
        smallest: Smallest height and width, as a share of the image's own.

    Source: Xie, Wang, Zhang, Ren, Yuille 2018. They make images larger; a network for images of one size cannot take
    those.

    >>> random_resize(torch.nn.Identity(), smallest=0.5)(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def resized(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        share = smallest + (1 - smallest) * float(torch.rand(()))
        size = (math.ceil(share * height), math.ceil(share * width))
        top, left = (
            int(torch.randint(0, full - part + 1, ())) for full, part in zip((height, width), size, strict=True)
        )
        small = nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
        return nn.functional.pad(small, (left, width - size[1] - left, top, height - size[0] - top))

    return Around(network, before=resized)
