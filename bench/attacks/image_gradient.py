"""The gradient of a first convolution with respect to images of one channel, quicker than the CPU library's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import TorchFunctionMode

PRODUCTS = 1 << 20
"""Bytes of intermediate products at a time: about a core's second cache."""

LARGEST_WINDOW = 49
"""Pixels of a filter beyond which the library's way was as quick."""


def quick_image_gradients(x: Tensor) -> AbstractContextManager[object]:
    """The mode below, to be entered for the forward pass of a batch on a CPU; nothing for a batch elsewhere."""
    return QuickImageGradients() if x.device.type == "cpu" else nullcontext()


class QuickImageGradients(TorchFunctionMode):
    """While it is entered, convolutions of images of one channel find their inputs' gradients another way.

    The library that torch calls on CPUs pads such images to eight or sixteen channels in the backward pass, and works
    on all of them. One product of matrices and the sum of overlapping windows (`torch.nn.functional.fold`) gives the
    same gradient, up to rounding, in a fifth to a third of the time. What is computed forwards does not change. Filters
    that want a gradient of their own are left to the library (models of suites have none), and so are scripted and
    compiled models and what `torch.func` transforms.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called in place of each torch function."""
        if func is F.conv2d and not torch.compiler.is_compiling():
            call = _SIGNATURE.bind(*args, **(kwargs or {}))
            call.apply_defaults()
            if _plain(*call.args[:3]) and worthwhile(*call.args):
                x, weight, bias, stride, padding = call.args[:5]
                return _Convolution.apply(x, weight, bias, _pair(stride), _pair(padding))
        return func(*args, **(kwargs or {}))


def _conv2d(
    input: Any,  # noqa: A002
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> None: ...


_SIGNATURE = signature(_conv2d)
"""Of `torch.nn.functional.conv2d`, which keeps it to itself."""


def _plain(x: Any, weight: Any, bias: Any) -> bool:
    """Whether these are single-precision tensors on a CPU of which the first alone wants a gradient."""
    fixed = (weight,) if bias is None else (weight, bias)
    return (
        all(type(each) in (Tensor, Parameter) and each.dtype == torch.float32 for each in (x, *fixed))
        and all(each.layout == torch.strided and each.device.type == "cpu" for each in (x, *fixed))
        and x.requires_grad
        and not any(each.requires_grad for each in fixed)
        and not torch.is_autocast_enabled("cpu")
        # inside a transform, tensors do not tell whether they want a gradient
        and not torch._C._are_functorch_transforms_active()
        # a checkpoint runs its part again in the backward pass, where no mode is on, and compares what is saved
        and torch._C._autograd._top_saved_tensors_default_hooks(False) is None
    )


def worthwhile(
    x: Tensor, weight: Tensor, _bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Whether the other way is the quicker one, from shapes alone, so that it is the same way in every run.

    With two and three channels it was quicker on one thread, and not on two.

    >>> worthwhile(torch.zeros(16, 1, 28, 28), torch.zeros(8, 1, 3, 3), None, 1, 0, 1, 1)
    True
    >>> worthwhile(torch.zeros(16, 3, 32, 32), torch.zeros(16, 3, 3, 3), None, 1, 0, 1, 1)
    False
    """
    numbers = all(isinstance(each, int | list | tuple) for each in (stride, padding, dilation))
    if x.ndim != 4 or len(x) == 0 or groups != 1 or not numbers or _pair(dilation) != (1, 1):
        return False
    _, channels, tall, wide = weight.shape
    return channels == 1 and tall * wide <= LARGEST_WINDOW


class _Convolution(torch.autograd.Function):
    """A convolution with its own gradient to the input, which can be differentiated in turn."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, weight, _, ctx.stride, ctx.padding = inputs
        ctx.image = tuple(x.shape[2:])
        ctx.save_for_backward(weight)
        ctx.save_for_forward(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            to_input = input_gradient_by_windows(gradient, weight, ctx.image, ctx.stride, ctx.padding)
        return to_input, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor, *_: Any) -> Tensor:
        (weight,) = ctx.saved_tensors
        return F.conv2d(x, weight, None, ctx.stride, ctx.padding)


def input_gradient_by_windows(
    gradient: Tensor, weight: Tensor, image: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """What a convolution passes back to its input: products with the filters, summed where windows overlap.

    Args:
        gradient: With respect to the convolution's output, shape (n, filters, height', width').
        weight: Filters, shape (filters, channels, tall, wide).
        image: Height and width of the input.
        stride: Of the convolution, down and across.
        padding: Zeros around the input, down and across.

    Returns:
        The gradient with respect to the input, shape (n, channels, height, width).

    >>> ones = torch.ones(1, 1, 2, 2)
    >>> input_gradient_by_windows(ones, ones, (3, 3), (1, 1), (0, 0))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    filters, window = weight.flatten(1).t(), tuple(weight.shape[2:])
    fit = PRODUCTS // (len(filters) * gradient.shape[2:].numel() * gradient.element_size())
    # never a single one among several: a product for one image is made by other kernels than one for many
    size = 1 if fit < 2 else max(4, fit)
    # not flatten, which a batch of gradients (is_grads_batched) cannot pass
    rows = gradient.reshape(*gradient.shape[:2], gradient.shape[2] * gradient.shape[3])
    parts = torch.tensor_split(rows, max(1, -(-len(gradient) // size)))
    return torch.cat(
        [
            F.fold(torch.bmm(filters.expand(len(part), -1, -1), part), image, window, padding=padding, stride=stride)
            for part in parts
        ]
    )


def _pair(value: Any) -> tuple[int, int]:
    """One number for both directions, or one for each.

    >>> _pair(1), _pair([2]), _pair((1, 2))
    ((1, 1), (2, 2), (1, 2))
    """
    values = (value,) if isinstance(value, int) else tuple(value)
    return (int(values[0]), int(values[-1]))
