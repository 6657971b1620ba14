"""Running a plan: what is stored is taken from there, the rest goes to an executor, wave by wave."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine.components import world_name
from bench.engine.environment import working_place
from bench.engine.executors import Executor
from bench.engine.ledger import Ledger
from bench.engine.progress import Listener
from bench.engine.state import JobState
from bench.engine.task import Place, Result, Task, apart
from bench.engine.together import joined
from bench.engine.unfinished import drop
from bench.suite.jobs import Job


@dataclass
class Journal:
    """An append-only account of a run: one JSON line for each start and end of a job.

    Attributes:
        path: The file.
    """

    path: Path

    def note(self, event: str, job: str, **facts: object) -> None:
        """Append one line, and hand it to the system before going on: a killed run loses none."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, "job": job, **facts})
        with self.path.open("a") as file:
            file.write(line + "\n")


@dataclass
class Execution:
    """Runs jobs until none is left that can be run.

    Attributes:
        ledger: What is known of jobs; its states are filled in.
        executor: Where jobs are done.
        listener: Is told how it goes.
        journal: Keeps an account.
        errors: Folder for the tracebacks of failed jobs.
        fail_fast: Start nothing more after the first job that fails.
        place: Where the run takes place.
    """

    ledger: Ledger
    executor: Executor
    listener: Listener
    journal: Journal
    errors: Path
    fail_fast: bool = False
    place: Place = field(default_factory=Place)
    failed: bool = field(default=False, init=False)

    def run(self, jobs: Iterable[Job]) -> None:
        """Bring every job to an end: found, done, failed or skipped."""
        left = {job.id: job for job in jobs if job.id not in self.ledger.states}
        self.listener.planned(left.values())
        to_do: dict[str, Job] = {}
        world = ""
        while left or to_do:
            ready = [job for job in left.values() if all(other in self.ledger.states for other in job.awaited)]
            if not (ready or to_do) or (self.fail_fast and self.failed):
                break
            for job in ready:
                del left[job.id]
                blocker = self.ledger.blocker(job)
                if blocker is not None:
                    self._end(job, self._skipped(blocker))
                elif (found := self.ledger.find(job)) is not None:
                    self.journal.note("found", job.id, key=found.key, origin=found.origin)
                    if job.kind == "train":
                        drop(self.ledger.output(job))  # a kill between the last record and this leaves it
                    self._end(job, found)
                else:
                    to_do[job.id] = job
            if not to_do:
                continue
            # a worker has one world of users' code: all that is ready in it is done before another takes its place
            worlds = {name: world_name(job.kind, job.work) for name, job in to_do.items()}
            world = next((each for each in ("", world) if each in worlds.values()), next(iter(worlds.values())))
            self._do({name: to_do.pop(name) for name, each in worlds.items() if each == world})
        for job in left.values():  # stopped early: what failed is to blame for what it blocks
            if all(need in self.ledger.states for need in job.needs) and (blocker := self.ledger.blocker(job)):
                self._end(job, self._skipped(blocker))

    def _skipped(self, blocker: str) -> JobState:
        state = self.ledger.states[blocker]
        cause = state.cause or blocker
        return JobState("skipped", message=f"needs {cause}, which {_ended(self.ledger.states[cause])}", cause=cause)

    def _do(self, wave: dict[str, Job]) -> None:
        """Do jobs that need nothing of each other; equal jobs of two evaluations are done once."""
        by_key: dict[str, list[Job]] = {}
        for job in wave.values():
            by_key.setdefault(self.ledger.key(job), []).append(job)
        keys = {jobs[0].id: key for key, jobs in by_key.items()}
        for name, key in keys.items():
            self.journal.note("queued", name, key=key)
        tasks = joined(self._task(jobs[0]) for jobs in by_key.values())
        by_id = {task.id: task for task in tasks}
        for done in self.executor.run(tasks, lambda name, share: self.listener.share(wave[name], share)):
            for result in apart(by_id[done.id], done):
                self._note(result, keys[result.id], by_key[keys[result.id]])
            if self.fail_fast and self.failed:
                return

    def _note(self, result: Result, key: str, jobs: Iterable[Job]) -> None:
        """A task's result as the end of the jobs it was done for."""
        for job in jobs:
            state = self._state(job, key, result)
            self.journal.note("ended", job.id, key=state.key, status=state.status, seconds=state.seconds)
            self._end(job, state)
        if result.details:
            self.errors.mkdir(parents=True, exist_ok=True)
            (self.errors / f"{result.id.replace('/', '.')}.txt").write_text(result.details, encoding="utf-8")

    def _task(self, job: Job) -> Task:
        states = {other: self.ledger.states[other] for other in job.awaited}
        # absolute: a user's code may change the working directory
        inputs = {other: str(state.path.absolute()) for other, state in states.items() if state.path is not None}
        earlier = self.ledger.earlier.get(job.id)
        return Task(
            job.id,
            job.kind,
            job.work,
            inputs,
            str(self.ledger.output(job).absolute()),
            job.timeout,
            world=world_name(job.kind, job.work),
            place=dataclasses.asdict(self.place),
            earlier="" if earlier is None else str(earlier.absolute()),
        )

    def _state(self, job: Job, key: str, result: Result) -> JobState:
        if result.status != "ok":
            return JobState(result.status, key, message=result.message, seconds=result.seconds)
        return JobState(
            "ok", **self.ledger.done(job, key, result.content, result.manifest), seconds=result.seconds,
            peak=result.peak, machine=working_place(), origin="done",
        )  # fmt: skip

    def _end(self, job: Job, state: JobState) -> None:
        self.ledger.states[job.id] = state
        self.failed = self.failed or state.status not in ("ok", "not-run")
        self.listener.ended(job, state)


def _ended(state: JobState) -> str:
    """How a job ended, as part of a sentence."""
    words = {"failed": "failed", "lost": "was lost", "timeout": "timed out", "oom": "ran out of memory"}
    return f"{words.get(state.status, 'did not run')}: {state.message}"
