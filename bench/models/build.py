"""Models from what a plan says of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import BenchError, ModelError
from bench.manifest.running import user_code
from bench.models.catalogue import MODELS
from bench.models.interfaces import AutoencoderLike, GeneratorLike

Model = Any
"""A module, or any callable of a user's: what it can do is checked by `check_kind`."""


def build(work: Mapping[str, Any]) -> Model:
    """A model without its weights.

    Args:
        work: `kind` and either `arch` (name, options) or `load` (an import name) with `args`.

    Raises:
        ModelError: A user's callable fails or returns something that cannot be called.
    """
    if "arch" in work:
        component = MODELS[work["arch"]["name"]]
        return component.load()(**component.options(**work["arch"]["options"]).model_dump())
    name = work["load"]
    factory = user_code("model", name)
    try:
        model = factory(**work["args"])
    except BenchError:
        raise
    except Exception as error:
        raise ModelError(f"'{name}' failed to build the model: {type(error).__name__}: {error}") from error
    if not callable(model):
        raise ModelError(f"'{name}' returned a {type(model).__name__}; expected a module or another callable")
    return model


def own_copy(model: Model) -> Model:
    """A copy of a model whose weights are about to change, where it can be copied.

    A user's callable may return one and the same module at every call; two models of a suite, or two trials of one,
    would then share their weights.
    """
    try:
        return copy.deepcopy(model)
    except Exception:  # modules with hooks or old parametrisations; hardly one of them is also shared
        return model


def ready(model: Model, device: torch.device) -> Model:
    """The model on its device, in evaluation mode, with parameters that ask for no gradient."""
    if isinstance(model, nn.Module):
        model.to(device).eval()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
    return model


def state_of(model: Model) -> list[tuple[int, int, str]]:
    """What changes when a module changes its own weights or buffers; for other callables nothing can be seen."""
    if not isinstance(model, nn.Module):
        return []
    tensors = itertools.chain(model.parameters(), model.buffers())
    return [(id(tensor), 0 if tensor.is_inference() else tensor._version, _sum(tensor)) for tensor in tensors]


def _sum(tensor: Tensor) -> str:
    """The sum of a tensor as a text, which is equal where both are NaN; empty for kinds that cannot be summed."""
    try:
        return str(tensor.detach().sum().item())
    except (RuntimeError, TypeError):
        return ""


def check_kind(model: Model, kind: str, name: str) -> None:
    """Complain about a model that cannot do what its kind must.

    Raises:
        ModelError: Names what is missing.
    """
    if kind == "autoencoder" and not isinstance(model, AutoencoderLike):
        raise ModelError(f"model '{name}' is no autoencoder: expected methods `encode` and `decode`")
    if kind == "generator" and not isinstance(model, GeneratorLike):
        raise ModelError(f"model '{name}' is no generator: expected an attribute `latent_size` and a call on noise")
