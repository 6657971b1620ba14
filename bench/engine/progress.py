"""Telling how a run goes: a bar with an estimate on a terminal, one plain line a job elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from bench.engine.state import JobState
from bench.suite.jobs import Job

if TYPE_CHECKING:
    from rich.progress import Progress


class Listener(Protocol):
    """Is told how a run goes on."""

    def planned(self, jobs: Iterable[Job]) -> None:
        """These jobs will be looked at; called again when more become known."""

    def share(self, job: Job, done: float) -> None:
        """A share of a job is done."""

    def ended(self, job: Job, state: JobState) -> None:
        """A job ended, or was found."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


class Silent:
    """Says nothing: for `bench.run` from Python."""

    def planned(self, jobs: Iterable[Job]) -> None:
        """Say nothing."""

    def share(self, job: Job, done: float) -> None:
        """Say nothing."""

    def ended(self, job: Job, state: JobState) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""


class Lines(Silent):
    """One line for each job that was tried, and one for all that were found."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = self._count = self._found = 0

    def planned(self, jobs: Iterable[Job]) -> None:
        """Count the jobs."""
        self._total += len(list(jobs))

    def ended(self, job: Job, state: JobState) -> None:
        """Print a line."""
        self._count += 1
        self._found += state.origin in ("store", "zoo")
        if state.status == "skipped" or state.origin in ("store", "zoo"):
            return
        message = f": {state.message}" if state.message else ""
        line = f"[{self._count}/{self._total}] {job.id} {state.status} {state.seconds:.1f} s{message}"
        print(line, file=self._stream, flush=True)

    def __exit__(self, *_: object) -> None:
        """Say how many jobs needed no doing."""
        if self._found:
            print(f"{self._found} of {self._total} jobs were done before", file=self._stream, flush=True)


class Bar(Silent):
    """A bar whose estimate weighs jobs by their rough cost."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.fields[count]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar: Progress = Progress(*columns, speed_estimate_period=600)
        self._task = self._bar.add_task("", total=0, count="")
        self._jobs = self._ended = 0
        self._weight = 0.0

    def planned(self, jobs: Iterable[Job]) -> None:
        """Make the bar longer."""
        listed = list(jobs)
        self._jobs += len(listed)
        self._weight += sum(job.weight for job in listed)
        self._bar.update(self._task, total=self._weight, count=f"{self._ended}/{self._jobs}")

    def share(self, job: Job, done: float) -> None:
        """Name the job that is running."""
        self._bar.update(self._task, description=f"{job.id} {done:.0%}")

    def ended(self, job: Job, state: JobState) -> None:
        """Move the bar; a job that was found shortens it, so that the estimate is of work only."""
        self._ended += 1
        count = f"{self._ended}/{self._jobs}"
        if state.origin in ("store", "zoo"):
            self._weight -= job.weight
            self._bar.update(self._task, total=self._weight, count=count)
        else:
            self._bar.update(self._task, advance=job.weight, count=count, description=job.id)
        if state.status not in ("ok", "skipped"):
            self._bar.console.print(f"{job.id} {state.status}: {state.message}", style="red", markup=False)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def listener_for(stream: TextIO) -> Listener:
    """A bar on a terminal, plain lines elsewhere."""
    return Bar() if stream.isatty() else Lines(stream)
