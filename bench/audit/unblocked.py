"""Gradients past stages that stop them, found by looking: straight-through, without anybody declaring the stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.defenses.stage import replaced


def blockers(model: Any, x: Tensor) -> list[nn.Module]:
    """The innermost modules of a model that keep its input's shape and let no gradient through.

    Args:
        model: A module; of any other callable nothing is known.
        x: Inputs, shape (n, ...).

    Returns:
        Modules whose input gets no gradient, or one of zeros alone, whatever their output gets.

    >>> class Rounded(nn.Module):
    ...     def forward(self, x):
    ...         return x.round()
    >>> blockers(nn.Sequential(Rounded(), nn.Flatten(), nn.Linear(4, 2)), torch.rand(3, 2, 2))
    [Rounded()]
    """
    if not isinstance(model, nn.Module):
        return []
    found: list[nn.Module] = []
    for module in model.modules():
        seen: list[Any] = []
        handle = module.register_forward_pre_hook(
            lambda _, given, named, seen=seen: seen.append(given[0] if len(given) == 1 and not named else None),
            with_kwargs=True,
        )
        try:
            with torch.no_grad():
                model(x)
        except Exception:  # a model that cannot be looked into, whatever it says
            return []
        finally:
            handle.remove()
        # at its input's negative, too: a rectifier may be dead on one of the two by chance
        if seen and isinstance(seen[0], Tensor) and _blocks(module, seen[0]) and _blocks(module, -seen[0]):
            found.append(module)
    # a module blocks where one inside it does: the innermost is the one to step over
    return [module for module in found if not any(other in found for other in list(module.modules())[1:])]


def _blocks(module: nn.Module, given: Tensor) -> bool:
    """Whether a module of equal input and output shape passes no gradient."""
    if not given.is_floating_point():
        return False
    with torch.enable_grad():
        point = given.detach().clone().requires_grad_()
        try:
            out = module(point)
        except Exception:  # a module that cannot be called alone, whatever it says
            return False
        if not isinstance(out, Tensor) or out.shape != point.shape:
            return False
        if not out.requires_grad:
            return True
        weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(0)).to(out)
        (gradient,) = torch.autograd.grad((out * weights).sum(), point, allow_unused=True)
    return gradient is None or bool((gradient == 0).all())


@contextmanager
def unblocked(modules: list[nn.Module]) -> Iterator[None]:
    """Within the block these modules give their outputs with the gradient of the identity."""
    handles = [module.register_forward_hook(_straight_through) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _straight_through(module: nn.Module, given: tuple[Any, ...], out: Tensor) -> Tensor:  # noqa: ARG001
    """The output's value with the input's gradient."""
    alike = given and isinstance(given[0], Tensor) and isinstance(out, Tensor) and given[0].shape == out.shape
    if not (alike and torch.is_grad_enabled() and given[0].requires_grad):
        return out
    return replaced(given[0], out.detach())
