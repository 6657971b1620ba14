"""Counting what an attack costs, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.attacks.padding import call_padded


class CountedModel:
    """A model that counts the passes of each sample; the only thing of the model an attack gets to see.

    Its answers have the precision of the inputs.

    Called on all samples of the batch in their order. For some of them, an attack calls ``model.rows(index)``. Passes
    of any other number of rows cannot be told apart and are shared out evenly.

    Args:
        model: Inputs (m, ...) to logits (m, classes).
        count: Samples in the batch, n.
        device: Where the counts are kept: that of the batch, so that counting never waits for the device.
        averaged: Forward passes whose mean is the answer, for models that are random.
        temperature: What the logits are divided by.

    Attributes:
        forwards: Forward passes of each sample so far, shape (n,), float64.
        backwards: Backward passes to the input of each sample so far, shape (n,), float64.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        count: int,
        *,
        device: torch.device | str = "cpu",
        averaged: int = 1,
        temperature: float = 1.0,
    ) -> None:
        self._model = model
        self.count = count
        self.averaged = averaged
        self.temperature = temperature
        self.forwards = torch.zeros(count, dtype=torch.float64, device=device)
        self.backwards = torch.zeros_like(self.forwards)

    def __call__(self, x: Tensor) -> Tensor:
        """The model's answer for the whole batch, counted."""
        return self.answer(x, None, self.averaged)

    def once(self, x: Tensor) -> Tensor:
        """One pass, whatever `averaged` says."""
        return self.one_pass(x, None)

    def rows(self, index: Tensor) -> Part:
        """The model for some samples: row i of what it is called on belongs to sample ``index[i]``."""
        return Part(self, index, self.averaged)

    def averaging(self, passes: int) -> Part:
        """The model for all samples, with another number of passes whose mean is the answer."""
        return Part(self, None, passes)

    def answer(self, x: Tensor, index: Tensor | None, averaged: int) -> Tensor:
        """The mean of some passes, each counted for the samples of `index` (None: the whole batch)."""
        answer = self.one_pass(x, index)
        for _ in range(averaged - 1):
            answer = answer + self.one_pass(x, index)
        return answer / averaged if averaged > 1 else answer

    def one_pass(self, x: Tensor, index: Tensor | None) -> Tensor:
        """One counted pass; narrow batches are padded, and the padding is not counted."""
        self.add(self.forwards, len(x), index)
        if torch.is_grad_enabled() and x.requires_grad:
            x = _Backward.apply(x, self, index)
        logits = call_padded(self._model, x).to(x.dtype)
        return logits if self.temperature == 1 else logits / self.temperature

    def passed_back(self, gradient: Tensor, index: Tensor | None) -> Tensor:
        """Count a backward pass for the samples of `index`; the gradient they get."""
        self.add(self.backwards, len(gradient), index)
        return gradient

    def add(self, counts: Tensor, passed: int, index: Tensor | None) -> None:
        """Count one pass of `passed` rows that belong to the samples of `index`."""
        if index is None:
            counts += passed / self.count
        else:
            counts.index_add_(0, index, torch.ones((), dtype=counts.dtype, device=counts.device).expand(passed))


class Part:
    """Some rows of a counted model's batch; made by `CountedModel.rows` and `CountedModel.averaging`.

    Attributes:
        averaged: Forward passes whose mean is the answer.
    """

    def __init__(self, whole: CountedModel, index: Tensor | None, averaged: int) -> None:
        self._whole, self._index, self.averaged = whole, index, averaged

    def __call__(self, x: Tensor) -> Tensor:
        """The model's answer, counted for these samples."""
        return self._whole.answer(x, self._index, self.averaged)

    def once(self, x: Tensor) -> Tensor:
        """One pass, whatever `averaged` says."""
        return self._whole.one_pass(x, self._index)

    def rows(self, index: Tensor) -> Part:
        """Some of these samples: row i belongs to the ``index[i]``-th of them."""
        return Part(self._whole, index if self._index is None else self._index[index], self.averaged)

    def averaging(self, passes: int) -> Part:
        """The same samples, with another number of passes whose mean is the answer."""
        return Part(self._whole, self._index, passes)


def of_rows(model: Callable[[Tensor], Tensor], index: Tensor) -> Callable[[Tensor], Tensor]:
    """A model for some samples of the batch: counted for them where the model counts, itself where it does not."""
    return model.rows(index) if isinstance(model, CountedModel | Part) else model


class _Backward(torch.autograd.Function):
    """The identity, which notes when a gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counter: CountedModel, index: Tensor | None) -> Tensor:
        ctx.counter, ctx.index = counter, index
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.counter.passed_back(gradient, ctx.index), None, None
