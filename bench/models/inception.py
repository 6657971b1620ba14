"""The Inception network that Frechet and kernel distances of images are published with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ModelError
from bench.models.catalogue import Resize, Tap

SIDE = 299
"""Height and width of the images the network was trained on."""
BATCH = 50
"""Images at once: between the first layers each takes 10 MB."""
_TAPS: Mapping[str, int] = {"conv_2": 64, "conv_4": 192, "mixed_7": 768, "mixed_10": 2048}
"""The layers whose features can be had, by how many they are."""
_EPSILON = 1e-3


def resized(images: Tensor, mode: Resize) -> Tensor:
    """Images (n, c, h, w) at 299 x 299.

    Args:
        images: Floats of any range.
        mode: `bilinear`, as pytorch-fid does it; `bilinear-antialias`, which averages over all pixels where an image is
            made smaller, as torchmetrics does since 1.9; `tensorflow`, whose pixels have their place at their corner
            and not at their centre, as the network's own graph and torch-fidelity do it.

    Source: Parmar, Zhang, Zhu 2022, section 3, on what the ways differ by.

    >>> resized(torch.rand(2, 3, 32, 32), "tensorflow").shape
    torch.Size([2, 3, 299, 299])
    """
    if mode == "tensorflow":
        return _along(_along(images, 2), 3)
    return F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=mode == "bilinear-antialias")


def _along(images: Tensor, dimension: int) -> Tensor:
    """One dimension resized: pixel i of the result lies at i * (old size) / (new size), and the last pixel goes on."""
    size = images.shape[dimension]
    places = torch.arange(SIDE, device=images.device, dtype=torch.float64) * size / SIDE
    first = places.long()
    share = [1, 1, 1, 1]
    share[dimension] = SIDE
    weight = (places - first).to(images.dtype).reshape(share)
    low, high = images.index_select(dimension, first), images.index_select(dimension, (first + 1).clamp_max(size - 1))
    return low + (high - low) * weight


class InceptionFid(nn.Module):
    """The network of TensorFlow's archive inception-2015-12-05, without its classifier: images to features.

    Images are rounded to 8 bits, as if they had been written to files, then resized.

    Args:
        tap: How many features: 2048 are published; 64, 192 and 768 are means of earlier layers.
        resize: How images become 299 x 299.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, table 1; Heusel et al. 2017, section 3, on its use.
    """

    def __init__(self, *, tap: Tap = 2048, resize: Resize = "bilinear") -> None:
        super().__init__()
        self.tap, self.resize = tap, resize
        # named as in the published file, which then fits as it is
        self.net = nn.ModuleDict({"layers": nn.ModuleDict(_layers())})

    @property
    def described(self) -> str:
        """What its features must not be compared without: said beside every figure made from them."""
        return f"tap {self.tap}, 8-bit images resized to {SIDE} x {SIDE} by {self.resize}"

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, tap) of images (n, 1 or 3, h, w) in [0, 1]; one channel is taken for all three.

        Raises:
            ModelError: Images of another shape or range.
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ModelError(
                f"the Inception network expects images of 1 or 3 channels, shape (n, channels, height, width); "
                f"found {tuple(x.shape)}"
            )
        least, most = float(x.min()), float(x.max())
        if least < -1e-6 or most > 1 + 1e-6:
            raise ModelError(
                f"the Inception network expects images in [0, 1], found values from {least:g} to {most:g}; "
                f"declare data in that range, and scale generated images inside their model"
            )
        return torch.cat([self._features(part) for part in torch.split(x, BATCH)])

    def _features(self, x: Tensor) -> Tensor:
        x = resized((x * 255).round().clamp(0, 255), self.resize)
        x = ((x - 128) / 128).expand(-1, 3, -1, -1)
        if x.device.type == "cpu":
            # 1.8 times faster there
            x = x.contiguous(memory_format=torch.channels_last)
        for name, layer in self.net["layers"].items():  # type: ignore[operator]
            x = layer(x)
            # features are taken behind the poolings that follow these two
            if name in ("conv_2", "conv_4"):
                x = F.max_pool2d(x, 3, 2)
            if _TAPS.get(name) == self.tap:
                break
        return x.mean((2, 3))


def inception_fid(*, tap: Tap, resize: Resize) -> InceptionFid:
    """The `inception-fid` of the catalogue."""
    return InceptionFid(tap=tap, resize=resize)


class Convolution(nn.Module):
    """A convolution, the statistics of a batch norm that has no scale, and a ReLU.

    Args:
        inputs: Channels before.
        outputs: Channels after.
        kernel: Height and width.
        stride: Steps of the kernel; above 1 the image is not padded.
        padded: Whether the image keeps its size; only where `stride` is 1.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], *, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = tuple(size // 2 for size in kernel) if padded and stride == 1 else (0, 0)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, *kernel))
        self.beta = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("var", torch.ones(outputs))
        self.mean: Tensor
        self.var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, outputs, ...)."""
        # normalising the kernel is far less work than normalising the images
        scale = (self.var + _EPSILON).rsqrt()
        weight, bias = self.weight * scale[:, None, None, None], self.beta - self.mean * scale
        return F.relu_(F.conv2d(x, weight, bias, self.stride, self.padding))


class Mixed(nn.Module):
    """Branches side by side, the last of them behind a pooling.

    Args:
        branches: By name.
        pool: The pooling.
        pooled: The branch behind it; None where there is nothing.
    """

    def __init__(
        self, branches: Mapping[str, nn.Module], pool: Callable[[Tensor], Tensor], pooled: str | None = None
    ) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)
        self.pool, self.pooled = pool, pooled

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, c, h, w) to the branches' channels, one branch after another."""
        parts = [branch(x) for name, branch in self.named_children() if name != self.pooled]
        pooled = self.pool(x)
        return torch.cat([*parts, pooled if self.pooled is None else self.get_submodule(self.pooled)(pooled)], 1)


class Forked(nn.Module):
    """The last two blocks: two of the four branches end in a row and a column side by side.

    Args:
        inputs: Channels before; 2048 come after.
        pool: The pooling before the last branch.
    """

    def __init__(self, inputs: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = Convolution(inputs, 320, (1, 1))
        self.tower_conv = Convolution(inputs, 384, (1, 1))
        self.tower_mixed_conv = Convolution(384, 384, (1, 3))
        self.tower_mixed_conv_1 = Convolution(384, 384, (3, 1))
        self.tower_1_conv = Convolution(inputs, 448, (1, 1))
        self.tower_1_conv_1 = Convolution(448, 384, (3, 3))
        self.tower_1_mixed_conv = Convolution(384, 384, (1, 3))
        self.tower_1_mixed_conv_1 = Convolution(384, 384, (3, 1))
        self.tower_2_conv = Convolution(inputs, 192, (1, 1))
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, 2048, h, w)."""
        second, third = self.tower_conv(x), self.tower_1_conv_1(self.tower_1_conv(x))
        parts = [
            self.conv(x),
            self.tower_mixed_conv(second),
            self.tower_mixed_conv_1(second),
            self.tower_1_mixed_conv(third),
            self.tower_1_mixed_conv_1(third),
            self.tower_2_conv(self.pool(x)),
        ]
        return torch.cat(parts, 1)


def _layers() -> dict[str, nn.Module]:
    """The layers in their order, but for the poolings behind `conv_2` and `conv_4`."""
    first = [
        Convolution(3, 32, (3, 3), stride=2),
        Convolution(32, 32, (3, 3), padded=False),
        Convolution(32, 64, (3, 3)),
        Convolution(64, 80, (1, 1)),
        Convolution(80, 192, (3, 3), padded=False),
    ]
    blocks = [
        *(_wide(inputs, pooled) for inputs, pooled in ((192, 32), (256, 64), (288, 64))),
        _narrowing(),
        *(_long(width) for width in (128, 160, 160, 192)),
        _last_narrowing(),
        Forked(1280, _mean_around),
        # the graph takes the largest here and the mean everywhere else
        Forked(2048, _largest_around),
    ]
    return {**_named("conv", first), **_named("mixed", blocks)}


def _named(name: str, layers: list[Convolution] | list[nn.Module]) -> dict[str, nn.Module]:
    """Layers by the names that the graph counts them with: `conv`, `conv_1`, `conv_2`."""
    return {f"{name}_{index}" if index else name: layer for index, layer in enumerate(layers)}


def _tower(inputs: int, *steps: tuple[int, tuple[int, int]], stride: int = 1) -> nn.Sequential:
    """Convolutions one after another, each given by its channels and its kernel; the last has the stride."""
    sizes = [inputs, *(outputs for outputs, _ in steps)]
    layers = [
        Convolution(sizes[index], outputs, kernel, stride=stride if index == len(steps) - 1 else 1)
        for index, (outputs, kernel) in enumerate(steps)
    ]
    tower = nn.Sequential()
    for name, layer in _named("conv", layers).items():
        tower.add_module(name, layer)
    return tower


def _wide(inputs: int, pooled: int) -> Mixed:
    """A block of 35 x 35."""
    branches = {
        "conv": Convolution(inputs, 64, (1, 1)),
        "tower": _tower(inputs, (48, (1, 1)), (64, (5, 5))),
        "tower_1": _tower(inputs, (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
        "tower_2": _tower(inputs, (pooled, (1, 1))),
    }
    return Mixed(branches, _mean_around, "tower_2")


def _narrowing() -> Mixed:
    """The block from 35 x 35 to 17 x 17."""
    branches = {
        "conv": Convolution(288, 384, (3, 3), stride=2),
        "tower": _tower(288, (64, (1, 1)), (96, (3, 3)), (96, (3, 3)), stride=2),
    }
    return Mixed(branches, _halved)


def _long(width: int) -> Mixed:
    """A block of 17 x 17, whose kernels are rows and columns of seven."""
    row, column = (1, 7), (7, 1)
    branches = {
        "conv": Convolution(768, 192, (1, 1)),
        "tower": _tower(768, (width, (1, 1)), (width, row), (192, column)),
        "tower_1": _tower(768, (width, (1, 1)), (width, column), (width, row), (width, column), (192, row)),
        "tower_2": _tower(768, (192, (1, 1))),
    }
    return Mixed(branches, _mean_around, "tower_2")


def _last_narrowing() -> Mixed:
    """The block from 17 x 17 to 8 x 8."""
    branches = {
        "tower": _tower(768, (192, (1, 1)), (320, (3, 3)), stride=2),
        "tower_1": _tower(768, (192, (1, 1)), (192, (1, 7)), (192, (7, 1)), (192, (3, 3)), stride=2),
    }
    return Mixed(branches, _halved)


def _mean_around(x: Tensor) -> Tensor:
    """The mean of each pixel's neighbourhood, without what lies outside the image."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _largest_around(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 1, 1)


def _halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2)
