"""What tests of trainings share."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from torch import Tensor


class Kept:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.last: tuple[Mapping[str, Any], Mapping[str, Tensor]] | None = None
        self.written = 0

    def read(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]] | None:
        return self.last

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.last = copy.deepcopy((dict(facts), {name: values.clone() for name, values in tensors.items()}))
        self.written += 1


@pytest.fixture
def kept() -> type[Kept]:
    """The class: a test may need several."""
    return Kept
