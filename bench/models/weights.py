"""Weights from files, without ever running code that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from bench.data.files import is_file
from bench.errors import ModelError
from bench.models.torchscript import is_torchscript, read_torchscript


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from a safetensors file, or from one that `torch.save` or `torch.jit.save` wrote.

    Files of `torch.save` are read with `weights_only=True`, which runs no code that they may contain. A checkpoint
    that holds its state dict under `state_dict`, `model_state_dict` or `model` is looked into. Of a TorchScript program
    only the tensors are read.

    Raises:
        ModelError: No such file, not weights, or a pickle with anything but tensors and plain values.
    """
    if not is_file(path):
        raise ModelError(f"expected weights at {path}, found no file (paths start at {Path.cwd()})")
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} cannot be read as a safetensors file, it may be cut short: {error}") from error
    try:
        if is_torchscript(path):
            return read_torchscript(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds pickled Python objects besides tensors, which could run code when loaded; it was refused. "
            f"Save the weights alone: torch.save(model.state_dict(), path), or use safetensors"
        ) from error
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as weights saved by torch.save, it may be cut short: "
            f"{type(error).__name__}: {error}"
        ) from error
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}; expected a state dict: tensors by name")
    odd = [str(name) for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd:
        raise ModelError(
            f"{path} holds entries that are no tensors ({', '.join(odd[:3])}); expected a state dict, tensors by name, "
            f"by itself or under state_dict, model_state_dict or model"
        )
    return dict(content)


def load_weights(model: nn.Module, weights: Mapping[str, Any], origin: str) -> None:
    """Put weights into a model, all of them or none.

    Raises:
        ModelError: Names or shapes differ; the message says which.
    """
    own = model.state_dict()
    missing = sorted(set(own) - set(weights))
    extra = sorted(set(weights) - set(own))
    if missing or extra:
        parts = [f"{len(missing)} are missing ({', '.join(missing[:3])})"] if missing else []
        parts += [f"{len(extra)} are not the model's ({', '.join(extra[:3])})"] if extra else []
        raise ModelError(f"the weights of {origin} do not fit the model: {' and '.join(parts)}")
    for name, tensor in own.items():
        if tuple(weights[name].shape) != tuple(tensor.shape):
            raise ModelError(
                f"the weights of {origin} do not fit the model: '{name}' has shape {tuple(weights[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )
    model.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
