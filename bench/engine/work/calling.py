"""Calling models that somebody else wrote: what goes wrong, or what comes back, is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.errors import BenchError, ModelError
from bench.manifest.recorder import RECORDER
from bench.models.build import Model


def classifier(model: Model, name: str) -> Callable[[Tensor], Tensor]:
    """A classifier whose every answer is float32 logits of shape (n, classes) on the device of its input.

    Args:
        model: Any callable.
        name: What the suite calls it.

    Returns:
        Inputs (n, ...) to logits; raises `ModelError` where the model raises or gives something else.
    """

    def logits(x: Tensor) -> Tensor:
        answer = answered(model, x, f"model '{name}'", "logits")
        if answer.ndim != 2 or answer.shape[1] < 2:
            raise ModelError(
                f"model '{name}': expected logits of shape ({len(x)}, classes) with at least 2 classes, "
                f"found {tuple(answer.shape)}"
            )
        return answer

    return logits


def answered(function: Callable[[Tensor], Tensor], x: Tensor, who: str, what: str) -> Tensor:
    """What a function of a model's says to a batch, as float32 on the batch's device.

    Args:
        function: The model, or one of its methods.
        x: The batch, shape (n, ...).
        who: What to call the function in a message.
        what: What it is expected to return.

    Raises:
        ModelError: It raises, or returns anything but floats with one row a sample.
        torch.OutOfMemoryError: Memory runs out, on whatever device.
    """
    try:
        with RECORDER.component(RECORDER.calls):
            answer = function(x)
    except (BenchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
        raise ModelError(
            f"{who} failed on a batch of shape {tuple(x.shape)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(answer, Tensor) or answer.ndim == 0 or len(answer) != len(x) or not answer.is_floating_point():
        found = f"{answer.dtype} {tuple(answer.shape)}" if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise ModelError(f"{who}: expected {what} as floats, one row for each of {len(x)} inputs, found {found}")
    return answer.to(x.device, torch.float32)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: on the CPU, torch says so in a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
