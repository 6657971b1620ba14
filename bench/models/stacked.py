"""Layers that hold several networks of one shape side by side, so that they are trained as one.

Every tensor has the networks as its first dimension. Nothing mixes them: each network's output, gradient and running
statistics are those it would have alone, up to rounding. A single network is a stack of one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ModelError


class Linear(nn.Module):
    """Affine maps.

    Args:
        networks: Networks in the stack, e.
        inputs: Features in.
        outputs: Features out.
        bias: Whether there is a shift.
    """

    def __init__(self, networks: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(networks, 1, outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(e, ..., inputs) to (e, ..., outputs)."""
        rows = x.reshape(len(x), -1, x.shape[-1])
        out = torch.bmm(rows, self.weight) if self.bias is None else torch.baddbmm(self.bias, rows, self.weight)
        return out.view(*x.shape[:-1], -1)


class Maxout(nn.Module):
    """Affine maps whose units are maxima over `pieces` of them (Goodfellow et al. 2013)."""

    def __init__(self, networks: int, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = Linear(networks, inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(e, ..., inputs) to (e, ..., units)."""
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)  # type: ignore[no-any-return]


class BatchNorm(nn.Module):
    """Batch norm with statistics of each call's own batch, and one running average over all calls.

    A packed GAN calls its generator once a slot, each call with its own batch; the running statistics follow the mean
    over the calls. In evaluation mode the running statistics are used.

    Args:
        networks: Networks in the stack, e.
        features: Features, or channels of images.
        decay: Share of the running statistics that a step keeps.
        epsilon: Added to variances.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, networks: int, features: int, *, decay: float = 0.95, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.scale = nn.Parameter(torch.ones(networks, features))
        self.shift = nn.Parameter(torch.zeros(networks, features))
        self.register_buffer("running_mean", torch.zeros(networks, features))
        self.register_buffer("running_variance", torch.ones(networks, features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, shape (e, calls, n, features) or (e, calls, n, channels, height, width)."""
        pixels = x.ndim - 4
        each = (len(x), 1, 1, -1, *[1] * pixels)
        if self.training:
            over = (2, *range(4, x.ndim))
            variance, mean = torch.var_mean(x, dim=over, correction=0, keepdim=True)
            with torch.no_grad():
                for running, of_batch in ((self.running_mean, mean), (self.running_variance, variance)):
                    running.lerp_(of_batch.view(*x.shape[:2], -1).mean(1), 1 - self.decay)
        else:
            mean, variance = self.running_mean.view(each), self.running_variance.view(each)
        factor = self.scale.view(each) * torch.rsqrt(variance + self.epsilon)
        return torch.addcmul(self.shift.view(each) - mean * factor, x, factor)


class Convolution(nn.Module):
    """Convolutions of images, as one grouped convolution.

    Args:
        networks: Networks in the stack, e.
        inputs: Channels in.
        outputs: Channels out.
        side: Side of the square filters.
        stride: Of the convolution.
        padding: Zeros added: left, right, above, below.
    """

    def __init__(
        self, networks: int, inputs: int, outputs: int, side: int, *, stride: int, padding: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(networks, outputs))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(e, calls, n, inputs, h, w) to (e, calls, n, outputs, h', w')."""
        wide = F.pad(side_by_side(x), self.padding)
        out = F.conv2d(wide, self.weight.flatten(0, 1), self.bias.flatten(), self.stride, groups=len(x))
        return apart(out, x)


class TransposedConvolution(nn.Module):
    """Transposed convolutions of images, as one grouped one; the output is cut to a stated side.

    Args:
        networks: Networks in the stack, e.
        inputs: Channels in.
        outputs: Channels out.
        side: Side of the square filters.
        stride: Of the convolution.
        crop: Rows and columns cut from what a transposed convolution without padding gives: left, right, above, below.
    """

    def __init__(
        self, networks: int, inputs: int, outputs: int, side: int, *, stride: int, crop: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, inputs, outputs, side, side))
        self.bias = nn.Parameter(torch.zeros(networks, outputs))
        self.stride, self.crop = stride, crop

    def forward(self, x: Tensor) -> Tensor:
        """(e, calls, n, inputs, h, w) to (e, calls, n, outputs, h', w')."""
        out = F.conv_transpose2d(
            side_by_side(x), self.weight.flatten(0, 1), self.bias.flatten(), self.stride, groups=len(x)
        )
        return apart(F.pad(out, [-cut for cut in self.crop]), x)


def side_by_side(x: Tensor) -> Tensor:
    """Images of several networks as channels of one batch: (e, calls, n, c, h, w) to (calls * n, e * c, h, w)."""
    return x.permute(1, 2, 0, 3, 4, 5).reshape(x.shape[1] * x.shape[2], -1, *x.shape[4:])


def apart(out: Tensor, x: Tensor) -> Tensor:
    """What `side_by_side` did, undone on a layer's output; `x` is what the layer was given."""
    return out.view(*x.shape[1:3], len(x), -1, *out.shape[2:]).permute(2, 0, 1, 3, 4, 5)


def initialise(networks: nn.Module, deviation: float = 0.02) -> None:
    """Weights from N(0, deviation^2) by torch's global generator, biases 0."""
    for module in networks.modules():
        if isinstance(module, Linear | Convolution | TransposedConvolution):
            nn.init.normal_(module.weight, std=deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Alone(nn.Module):
    """A network that is no stack, called as a stack of one: once for each call's batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(1, calls, n, ...) to (1, calls, n, ...)."""
        return torch.stack([self.network(batch) for batch in x[0]])[None]


def stack(networks: Sequence[nn.Module]) -> nn.Module:
    """Stacks of one network each as one stack, with copies of their weights; a single other network as it is.

    Raises:
        ModelError: Several networks that are not made of the layers of this module.
    """
    layers = (Linear, BatchNorm, Convolution, TransposedConvolution)
    owners = {
        name: type(module)
        for name, module in networks[0].named_modules()
        if [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    }
    strange = next((kind.__name__ for kind in owners.values() if not issubclass(kind, layers)), None)
    if strange is not None:
        if len(networks) > 1:
            raise ModelError(f"a {strange} cannot be stacked; train such networks one after another")
        return Alone(networks[0])
    whole = copy.deepcopy(networks[0])
    for name in owners:
        module = whole.get_submodule(name)
        for key, values in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            joined = torch.cat([getattr(each.get_submodule(name), key).detach() for each in networks])
            setattr(module, key, nn.Parameter(joined) if isinstance(values, nn.Parameter) else joined)
    return whole


def unstack(whole: nn.Module, networks: Sequence[nn.Module]) -> None:
    """Copy a stack's weights back into the networks that it was made from."""
    if isinstance(whole, Alone):
        return
    state = whole.state_dict()
    for index, each in enumerate(networks):
        each.load_state_dict({name: values[index : index + 1] for name, values in state.items()})
