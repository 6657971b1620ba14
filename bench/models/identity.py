"""What a model is, once it is built: a digest of its parameters, its buffers and all other state that can be hashed."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import ModelError

_DEEPEST = 60
"""Levels of attributes that are followed; what lies deeper counts by its type."""


def state_digest(model: Any) -> str:
    """32 hexadecimal digits that name the state of a model or of any other callable.

    Parameters, buffers, plain attributes of every submodule, the order of submodules, and the code, defaults and
    closures of functions count; of a TorchScript program, its code and tensors.

    >>> one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    >>> _ = other.load_state_dict(one.state_dict())
    >>> state_digest(one) == state_digest(other)
    True
    >>> other.factor = 2.0
    >>> state_digest(one) == state_digest(other)
    False
    """
    walk = _Walk()
    walk.value(model, 0)
    return walk.total.hexdigest()[:32]


def check_state(model: Any, built: Mapping[str, Any], code: str) -> None:
    """Complain about a model that is not the one whose building named it.

    Args:
        model: The model as its factory gave it.
        built: The facts of the job that built it.
        code: Its import name.

    Raises:
        ModelError: Something has changed since, or it depends on what is not seeded.
    """
    if built["stable"] and state_digest(model) != built["state"]:
        raise ModelError(
            f"'{code}' built another model than at the start of this run: something it reads has changed since, or it "
            f"depends on what is not seeded; run the same command again"
        )


class _Walk:
    """Goes through an object, each part once."""

    def __init__(self) -> None:
        self.total = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []

    def say(self, *parts: object) -> None:
        """Add texts to the digest, with lengths, so that none can be taken for two."""
        for part in parts:
            text = str(part).encode("utf-8", "surrogatepass")
            self.total.update(len(text).to_bytes(8, "little") + text)

    def value(self, value: Any, depth: int) -> None:
        """Add any value."""
        if value is None or isinstance(value, bool | int | float | complex | str):
            self.say(type(value).__name__, repr(value))
            return
        if isinstance(value, bytes | bytearray):
            self.say("bytes", hashlib.sha256(value).hexdigest())
            return
        if isinstance(value, torch.dtype | torch.device | torch.Size | torch.layout | Path | slice | range):
            self.say(type(value).__name__, str(value))
            return
        if id(value) in self._seen:
            self.say("again", self._seen[id(value)])
            return
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)  # so that no other object gets its id
        if depth > _DEEPEST:
            self.say("deep", type(value).__qualname__)
            return
        self._whole(value, depth)

    def _whole(self, value: Any, depth: int) -> None:
        if isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            if array.dtype.hasobject:
                self.say("objects", array.shape)
                self.each(array.ravel().tolist(), depth)
            else:
                self.say("array", array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest())
        elif isinstance(value, enum.Enum):
            self.say("enum", type(value).__qualname__, value.name)
        elif isinstance(value, Mapping):
            self.say("mapping", type(value).__qualname__, len(value))
            for key, each in value.items():
                self.value(key, depth + 1)
                self.value(each, depth + 1)
        elif isinstance(value, list | tuple):
            self.say(type(value).__qualname__, len(value))
            self.each(value, depth)
        elif isinstance(value, set | frozenset):
            self.say("set", len(value))
            self.each(sorted(value, key=repr), depth)
        elif isinstance(value, torch.jit.ScriptModule):
            self._script(value, depth)
        elif isinstance(value, nn.Module):
            self._module(value, depth)
        else:
            self._object(value, depth)

    def each(self, values: Any, depth: int) -> None:
        """Add the values of a sequence."""
        for value in values:
            self.value(value, depth + 1)

    def _tensor(self, tensor: Tensor) -> None:
        self.say("tensor", tensor.dtype, tuple(tensor.shape))
        if tensor.is_meta:
            return
        try:
            plain = tensor.detach().cpu().contiguous()
            content = plain.flatten().view(torch.uint8).numpy() if plain.numel() else np.empty(0, np.uint8)
            self.total.update(hashlib.sha256(content.data).digest())
        except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised and nested tensors
            self.say(str(tensor))

    def _script(self, program: Any, depth: int) -> None:
        self.say("program", getattr(program, "original_name", ""))
        for name, tensor in program.state_dict().items():
            self.say(name)
            self.value(tensor, depth + 1)
        for attribute in ("code", "inlined_graph"):
            try:
                self.say(getattr(program, attribute))
            except (RuntimeError, AttributeError):
                continue
        if hasattr(program, "graph"):
            self.say(str(program.graph))

    def _module(self, module: nn.Module, depth: int) -> None:
        self.say("module", type(module).__module__, type(module).__qualname__)
        own = ("_parameters", "_buffers", "_modules")
        for group in own:
            for name, value in getattr(module, group).items():
                self.say(group, name)
                self.value(value, depth + 1)
        for name, value in module.__dict__.items():
            if name not in own and not (name.startswith("_") and name.endswith(("_hooks", "_hooks_with_kwargs"))):
                self.say(name)
                self.value(value, depth + 1)
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            self.say(name)
            self.each(module.__dict__.get(name, {}).values(), depth)

    def _object(self, value: Any, depth: int) -> None:
        if isinstance(value, FunctionType):
            self.say("function", value.__module__, value.__qualname__)
            self._code(value.__code__, depth)
            self.value(value.__defaults__, depth + 1)
            self.value(value.__kwdefaults__, depth + 1)
            for cell in value.__closure__ or ():
                try:
                    self.value(cell.cell_contents, depth + 1)
                except ValueError:
                    self.say("empty cell")
        elif isinstance(value, MethodType):
            self.value(value.__func__, depth + 1)
            self.value(value.__self__, depth + 1)
        elif isinstance(value, functools.partial):
            self.each((value.func, value.args, value.keywords), depth)
        elif isinstance(value, type | ModuleType | BuiltinFunctionType):
            self.say(getattr(value, "__module__", ""), getattr(value, "__qualname__", getattr(value, "__name__", "")))
        elif isinstance(value, torch.Generator):
            self._tensor(value.get_state())
        elif dataclasses.is_dataclass(value):
            self.say("dataclass", type(value).__qualname__)
            self.each([getattr(value, each.name, None) for each in dataclasses.fields(value)], depth)
        else:
            self.say("object", type(value).__module__, type(value).__qualname__)
            own = getattr(value, "__dict__", None)
            slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
            for name, each in [*(own.items() if isinstance(own, dict) else ()), *_taken(value, slots)]:
                self.say(name)
                self.value(each, depth + 1)

    def _code(self, code: CodeType, depth: int) -> None:
        self.total.update(code.co_code)
        self.say(code.co_names, code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant, depth + 1)
            else:
                self.value(constant, depth + 1)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _taken(value: Any, names: list[str]) -> list[tuple[str, Any]]:
    return [
        (name, getattr(value, name))
        for name in names
        if name not in ("__dict__", "__weakref__") and hasattr(value, name)
    ]
