"""What a metric of generators leaves where that is more than figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

NOTE = ": "
"""What stands between the parts of a note."""


@dataclass(frozen=True)
class Measured:
    """Figures, and what the report draws of them.

    Attributes:
        values: Figures by row; None where there is none, because what was waited for did not happen.
        arrays: What the report needs, by name.
        note: What the figures must not be read without.
        above: For each figure that is None, what it is known to be above.
    """

    values: Mapping[str, float | None]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    note: str = ""
    above: Mapping[str, float] = field(default_factory=dict)
