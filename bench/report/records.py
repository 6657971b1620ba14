"""What the page reads besides rows: records of jobs and clean data, as far as they are still there."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data import load_source, needs_running
from bench.data.samples import Samples
from bench.engine.state import NOT_RUN, JobState
from bench.engine.store import Record, read_record
from bench.errors import BenchError
from bench.suite.jobs import Cell, Plan
from bench.suite.spec import Suite


class MissingError(BenchError):
    """A record or data set that the page can do without; the message says why it is not there."""


class Records:
    """The records of a run.

    Args:
        suite: What was run.
        plan: Its jobs and cells.
        states: How each job ended, with the paths of their records.
    """

    def __init__(self, suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> None:
        self.suite, self.plan, self.states = suite, plan, states
        self.cells = {(cell.evaluation, cell.model, cell.part, cell.surrogate): cell for cell in plan.cells}
        self._samples: dict[str, Samples] = {}
        # what has no jobs lacks data, its own or that its model is trained on
        self._unplanned = next(iter(plan.unavailable.values()), NOT_RUN.message)

    def first_job(self, cell: Cell | None) -> str:
        """The first job of the first trial of a cell; `MissingError` when nothing was planned for it."""
        if cell is None:
            raise MissingError(self._unplanned)
        return cell.trials[0][0]

    def made_from(self, job: str, name: str) -> str:
        """The job whose result a job takes under a name, such as the examples that a verification judges."""
        return str(self.plan.jobs[job].work[name]["job"])

    def read(self, job: str) -> Record:
        """The record of a job, read from disk and not kept.

        Raises:
            MissingError: The job did not end well, or its record is gone or damaged.
        """
        if job not in self.plan.jobs:
            raise MissingError(self._unplanned)
        state = self.states.get(job, NOT_RUN)
        if state.status != "ok":
            raise MissingError(f"{job} {state.status}: {state.message}")
        if state.path is None:
            raise MissingError(f"the record of {job} is no longer in the store")
        try:
            return read_record(state.path)
        except (OSError, BenchError) as error:
            raise MissingError(f"the record of {job} cannot be read: {error}") from error

    def samples(self, data: str) -> Samples:
        """The samples of a data set that its `skip` and `take` leave; kept, since many figures use the same.

        Raises:
            MissingError: The data cannot be loaded any more.
        """
        if data not in self._samples:
            spec = self.suite.data[data]
            materialised = None
            if needs_running(spec.source):
                record = self.read(f"data/{data}")
                materialised = Samples(record.arrays["x"], record.arrays.get("y"), record.meta["ids"])
            try:
                self._samples[data] = load_source(data, spec.source, spec.options, materialised)
            except (OSError, BenchError) as error:
                raise MissingError(f"data '{data}' cannot be loaded: {error}") from error
        return self._samples[data]

    def stretch(self, job: str) -> Samples:
        """The clean samples a job works on, in its order."""
        work = self.plan.jobs[job].work
        skip = work["data"]["options"].get("skip", 0)
        return self.samples(work["data"]["name"]).stretch(work["start"] - skip, work["stop"] - skip)
