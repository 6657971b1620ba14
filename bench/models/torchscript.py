"""The tensors of a TorchScript program, without its code: neither compiled nor run, as `torch.jit.load` would."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript program: an archive with constants, which `torch.save` never writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers by the names that `state_dict` of the program would give them.

    Raises:
        pickle.UnpicklingError: The archive names anything but modules, tensors and plain values.
        Exception: It is damaged; what is raised depends on how.
    """
    with zipfile.ZipFile(path) as archive:
        (main,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
        content = _Reader(archive.read(main), lambda key: archive.read(f"{main.removesuffix('.pkl')}/{key}")).load()
    return dict(_tensors(content, ""))


class _Part:
    """Stands for a module of the program, of whatever class: its attributes by name."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = state


class _Reader(pickle.Unpickler):
    """Reads what a program is made of; a name that is not listed here is refused.

    Args:
        content: The pickle.
        stored: The bytes of a tensor, by its key.
    """

    def __init__(self, content: bytes, stored: Callable[[str], bytes]) -> None:
        super().__init__(io.BytesIO(content))
        self.stored = stored

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Part
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list,
        }
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no module, tensor or plain value")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        # a buffer that can be written, as tensors want one
        return torch.frombuffer(bytearray(self.stored(str(key))), dtype=dtype, count=int(count))


def _tensor(stored: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> Tensor:
    """A tensor from the numbers it is a view of; whether it wants a gradient does not matter here."""
    return torch.as_strided(stored, tuple(size), tuple(stride), offset).clone()


def _tensors(part: _Part, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in part.attributes.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Part):
            yield from _tensors(value, f"{prefix}{name}.")
