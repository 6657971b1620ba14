"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Level = Literal["pass", "warn", "fail"]
LEVELS: tuple[Level, ...] = get_args(Level)
Effect = Literal["", "suspect", "masked", "too-weak", "broken-attack"]
"""What a finding makes of the model (``suspect``, ``masked``) or of the attack (``too-weak``, ``broken-attack``)."""


RANDOM = "answers that change between two passes"
"""Name of the finding that a model is random."""
FEWEST = 2
"""Samples below which a difference is no finding."""
SHARE = 0.005
"""Share of all samples from which one is."""


OF_TAKEN = 0.25
"""Share of the samples a check took from which one is, however few it took of many."""


def worth_telling(count: int, n: int, took: int | None = None) -> bool:
    """Whether so many more broken samples of n, or of some that a check took, make an attack too weak.

    >>> worth_telling(8, 10_000), worth_telling(8, 10_000, took=8)
    (False, True)
    """
    return count >= FEWEST and (count >= SHARE * n or (took is not None and count >= OF_TAKEN * took))


@dataclass(frozen=True)
class Finding:
    """One thing that was computed, and what follows from it.

    Attributes:
        name: What was computed, in a few words.
        value: What came of it.
        threshold: What it was compared with.
        level: ``pass``, ``warn`` or ``fail``.
        effect: What it makes of the model or the attack; empty where it passed.
        sentence: What a reviewer would write.
        advice: What to try next; empty where nothing needs to be tried.
        epsilon: The radius it holds at; None for all.
    """

    name: str
    value: float
    threshold: float
    level: Level
    effect: Effect = ""
    sentence: str = ""
    advice: str = ""
    epsilon: float | None = None


class Found:
    """Samples that a check broke, with the examples that do it; E radii, n samples.

    Args:
        shape: E and n.

    Attributes:
        flags: Whether a sample was broken at a radius, shape (E, n).

    >>> found = Found((1, 3))
    >>> found.add(0, np.array([1, 2]), np.array([True, False]), np.zeros((2, 4)))
    >>> found.flags.tolist(), found.examples().shape
    ([[False, True, False]], (1, 4))
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.flags = np.zeros(shape, np.bool_)
        self._kept: dict[tuple[int, int], NDArray[Any]] = {}

    @classmethod
    def of(cls, flags: NDArray[np.bool_], examples: NDArray[Any]) -> Found:
        """From what `flags` and `examples` said."""
        found = cls(flags.shape)
        found.flags |= flags
        places = [(level, place) for level, place in np.argwhere(flags).tolist()]
        found._kept = dict(zip(places, examples, strict=True))
        return found

    def within(self, first: int, end: int) -> Found:
        """The part of some samples in a row."""
        part = Found(self.flags[:, first:end].shape)
        for (level, place), example in self._kept.items():
            if first <= place < end:
                part._kept[level, place - first] = example
                part.flags[level, place - first] = True
        return part

    def add(self, level: int, chosen: NDArray[np.intp], broken: NDArray[np.bool_], examples: NDArray[Any]) -> None:
        """Note the samples that are broken at a radius, of some that were tried; the first example of each is kept."""
        for place, example in zip(chosen[broken].tolist(), examples[broken], strict=True):
            self._kept.setdefault((level, place), example)
            self.flags[level, place] = True

    def at(self, level: int, chosen: NDArray[np.intp]) -> NDArray[Any]:
        """The examples of some samples that are broken at a radius."""
        return np.stack([self._kept[level, place] for place in chosen.tolist()])

    def examples(self) -> NDArray[Any]:
        """The examples, one a flag, in the order of `np.argwhere(flags)`."""
        kept = [self._kept[level, place] for level, place in np.argwhere(self.flags).tolist()]
        return np.stack(kept) if kept else np.empty((0,), np.float32)


@dataclass(frozen=True)
class Checked:
    """What a check leaves.

    Attributes:
        findings: What was computed.
        found: Samples that it showed can be broken.
    """

    findings: Sequence[Finding]
    found: Found | None = None


@dataclass(frozen=True)
class Probed(Checked):
    """What a better attack leaves, for others to be compared with.

    Attributes:
        found: Samples that it broke.
        took: Samples it took at each radius, shape (E, n).
        by_gradient: Those of them that it broke with the gradient, shape (E, n).
    """

    found: Found = field(kw_only=True)
    took: NDArray[np.bool_] = field(kw_only=True)
    by_gradient: NDArray[np.bool_] = field(kw_only=True)


def graded(
    name: str,
    value: float,
    *,
    warn: float,
    fail: float,
    effects: tuple[Effect, Effect],
    sentence: str,
    advice: str,
) -> Finding:
    """A finding whose value is better the smaller it is: it passes up to `warn`, and fails above `fail`.

    >>> graded("share", 0.3, warn=0.0, fail=0.1, effects=("suspect", "masked"), sentence="s", advice="a").effect
    'masked'
    """
    if value <= warn:
        return Finding(name, value, warn, "pass")
    if value <= fail:
        return Finding(name, value, warn, "warn", effects[0], sentence, advice)
    return Finding(name, value, fail, "fail", effects[1], sentence, advice)
