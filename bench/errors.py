"""What can go wrong, as sentences: what was expected, what was found, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class BenchError(Exception):
    """A mistake a user can mend; its message is shown without a traceback."""


class UsageError(BenchError):
    """A bad command line or a run that must not start (exit code 2)."""


class DataError(BenchError):
    """A data set that is missing, unreadable or not what it was declared to be."""


class ModelError(BenchError):
    """A model or its weights that cannot be loaded, or that misbehaves when called."""


class NoGradientError(ModelError):
    """A model whose output does not depend on its input through differentiable operations."""


class AttackError(BenchError):
    """An attack called with something it cannot work on."""


class MetricError(BenchError):
    """A metric given samples it cannot measure."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a suite file, with the place it was made (line and column count from 1)."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """Render as ``file:line:column: path: message``."""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.message}"


class SuiteError(BenchError):
    """All the mistakes found in one suite file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that ends an 'unknown name' message: the closest known name, else all of them.

    >>> did_you_mean("fgms", ["fgsm", "pgd"])
    "; did you mean 'fgsm'?"
    >>> did_you_mean("zzz", ["fgsm", "pgd"])
    '; known are fgsm, pgd'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(names)}" if names else "; none are defined"
