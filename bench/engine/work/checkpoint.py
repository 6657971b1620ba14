"""Unfinished trainings on disk, beside where their records will be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.engine.store import DamagedError, read_record, write_record


class FileCheckpoint:
    """The checkpoint of one training; a damaged one counts as none.

    Args:
        output: Where the training's record will be.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f"{output.name}.unfinished")

    def read(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]] | None:
        """Facts and tensors of the last one; None when there is none."""
        try:
            record = read_record(self.path)
        except (FileNotFoundError, DamagedError):
            return None
        return record.meta["facts"], {name: torch.from_numpy(values) for name, values in record.arrays.items()}

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keep facts and tensors in place of the last ones."""
        write_record(self.path, {"facts": facts}, {name: values.cpu().numpy() for name, values in tensors.items()})

    def drop(self) -> None:
        """Remove it: the training has ended."""
        self.path.unlink(missing_ok=True)
