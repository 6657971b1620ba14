"""Unfinished trainings on disk, in the store beside the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.data.files import is_folder
from bench.engine.store import DamagedError, Record, read_record, write_record
from bench.engine.unfinished import KIND, place
from bench.errors import BenchError


class FileCheckpoint:
    """The checkpoint of trials that are trained as one stack: one file, so that all are at the same iteration.

    It has the name of the stack's last record. The records of a stack are written in its order, so the last one is
    among those that a kill leaves unwritten, and their training finds the file. The whole stack is then taken up: its
    size is part of the arithmetic, whether or not the other trials are finished.

    A file is believed that calls itself the checkpoint of a stack that ends with this record and holds all that are
    wanted. Anything else, a damaged file or one of another training, counts as none and is replaced.

    Attributes:
        path: Where it is.
        stack: The trials of the stack by the names of their records, in their order.

    Args:
        outputs: Where the records will be that are wanted.
        trials: Their trials.

    Raises:
        BenchError: A folder is where it should be.
    """

    def __init__(self, outputs: Sequence[Path], trials: Sequence[int]) -> None:
        self.path = place(outputs[-1])
        wanted = {output.name: trial for output, trial in zip(outputs, trials, strict=True)}
        self._found = _believed(self.path, wanted)
        self.stack = wanted if self._found is None else dict(self._found.meta["stack"])

    def read(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]] | None:
        """Facts and tensors that were there at the beginning; None when there were none. They are given once."""
        record, self._found = self._found, None
        if record is None:
            return None
        return record.meta["facts"], {name: torch.from_numpy(values) for name, values in record.arrays.items()}

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keep facts and tensors in place of the last ones."""
        meta = {"stack": list(self.stack.items()), "facts": facts}
        arrays = {name: values.cpu().numpy() for name, values in tensors.items()}
        write_record(self.path.parent, meta, arrays, kind=KIND, key=self.path.name)


def _believed(path: Path, wanted: Mapping[str, int]) -> Record | None:
    """The checkpoint at a path, if it is one of a stack that has its name and holds the wanted trials."""
    if is_folder(path):
        raise BenchError(f"{path} is a folder, and the unfinished training is to be kept there; remove it")
    try:
        record = read_record(path)
    except (OSError, DamagedError):
        return None
    try:
        stack = dict(record.meta["stack"])
        alike = list(stack)[-1] == path.name and wanted.items() <= stack.items() and "facts" in record.meta
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return record if alike else None
