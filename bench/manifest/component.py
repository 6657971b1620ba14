"""A piece of a user's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Component:
    """A piece of a user's code that a job runs.

    Attributes:
        role: ``model``, ``data``, ``attack``, ``metric`` or ``defense``.
        code: ``package.module:callable``.
        given: Its arguments and options, as JSON.
        uses: Paths and environment variables that the suite declares.
    """

    role: str
    code: str
    given: Any = None
    uses: Sequence[str] = ()

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return label(self.role, self.code)


def label(role: str, code: str) -> str:
    """What a reader calls a component.

    >>> label("model", "mypackage.models:build")
    'model mypackage.models:build'
    """
    return f"{role} {code}"
