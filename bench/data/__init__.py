"""Data sets by name.

from bench.data import load_named
samples = load_named("mnist", split="test", take=100)   # samples.x (100, 1, 28, 28), samples.y, samples.ids
"""

from __future__ import annotations

from typing import Any, Protocol

from bench.catalogue import is_import_name
from bench.data.catalogue import DATA, DataOptions, Imported
from bench.data.samples import DataInfo, Samples, checked

__all__ = ["DATA", "DataInfo", "Samples", "count", "describe", "load_named", "load_source", "needs_running"]


class Source(Protocol):
    """A source whose samples are known without running anybody's code."""

    def fingerprint(self, options: Any) -> str:
        """Names the samples and their order, before `skip` and `take`."""

    def count(self, options: Any) -> int:
        """How many samples there are, before `skip` and `take`."""

    def load(self, options: Any) -> Samples:
        """The samples, before `skip`; a source may leave out those after `take`."""


def needs_running(source: str) -> bool:
    """Whether a source's samples are known only after code has run (a job does that, once)."""
    return source == "torchvision" or is_import_name(source)


def _source(name: str) -> Source:
    factory = DATA[name].load()
    return factory(name) if "mixture" in DATA[name].traits else factory()  # type: ignore[no-any-return]


def value_range(source: str, options: DataOptions) -> tuple[float, float]:
    """Smallest and largest valid input value; unbounded for points in the plane."""
    if source in DATA and "mixture" in DATA[source].traits:
        return float("-inf"), float("inf")
    return getattr(options, "range", (0.0, 1.0))


def count(source: str, options: DataOptions) -> int:
    """How many samples `skip` and `take` leave of a source that does not need running; none of them is made.

    Raises:
        DataError: Files are missing.

    >>> count("ring8", DATA["ring8"].options(samples=100, skip=30, take=80))
    70
    """
    left = max(0, _source(source).count(options) - options.skip)
    return left if options.take is None else min(left, options.take)


def describe(name: str, source: str, options: DataOptions, materialised: DataInfo | None = None) -> DataInfo:
    """What planning needs to know; for a source that needs running, `materialised` says what running it gave.

    Raises:
        DataError: Files are missing, or `skip` leaves no sample.
    """
    from bench.errors import DataError

    low, high = value_range(source, options)
    if materialised is None:
        where = _source(source)
        fingerprint, total = where.fingerprint(options), where.count(options)
    else:
        fingerprint, total = materialised.fingerprint, materialised.count
    left = total - options.skip
    if left < 1:
        raise DataError(f"data '{name}': `skip: {options.skip}` leaves none of its {total} samples")
    if (low, high) not in ((0.0, 1.0), (float("-inf"), float("inf"))):
        # the box is part of every threat, so the same samples in another box are other data
        fingerprint = f"{fingerprint}/[{low!r}, {high!r}]"
    return DataInfo(fingerprint, min(left, options.take or left), options.skip, low, high)


def load_source(name: str, source: str, options: DataOptions, materialised: Samples | None = None) -> Samples:
    """The samples that `skip` and `take` leave, checked against their declared range."""
    samples = _source(source).load(options) if materialised is None else materialised
    stop = None if options.take is None else options.skip + options.take
    chosen = samples.stretch(options.skip, len(samples) if stop is None else stop)
    low, high = value_range(source, options)
    return checked(chosen, name=name, low=low, high=high)


def load_named(source: str, **options: Any) -> Samples:
    """Load a data set from Python, by the name and options a suite would use.

    Raises:
        BenchError: Unknown source, or one that cannot be imported.
        pydantic.ValidationError: Unknown or wrong options.
        DataError: Files missing, or samples outside the declared range.

    >>> load_named("mnist", split="test", take=3).y.tolist()
    [7, 2, 1]
    """
    if needs_running(source):
        from bench.data.imported import materialised

        chosen = (DATA[source].options if source in DATA else Imported)(**options)
        return load_source(source, source, chosen, materialised(source, chosen))  # type: ignore[arg-type]
    return load_source(source, source, DATA[source].options(**options))  # type: ignore[arg-type]
