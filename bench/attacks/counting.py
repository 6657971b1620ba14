"""Counting what an attack costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.attacks.padding import call_padded


class CountedModel:
    """A model that counts the samples that pass through it, forwards and backwards.

    Attributes:
        forwards: Samples passed forwards so far.
        backwards: Samples whose gradient has passed back to the input so far.
    """

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        self._model = model
        self.forwards = 0
        self.backwards = 0

    def __call__(self, x: Tensor) -> Tensor:
        """The model's output, counted; narrow batches are padded, and the padding is not counted."""
        self.forwards += x.shape[0]
        if torch.is_grad_enabled() and x.requires_grad:
            x = _Backward.apply(x, self)
        return call_padded(self._model, x)


class _Backward(torch.autograd.Function):
    """The identity, which notes when a gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counter: CountedModel) -> Tensor:
        ctx.counter = counter
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.counter.backwards += gradient.shape[0]
        return gradient, None
