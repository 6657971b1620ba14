"""A suite from file to leaderboard: what `bench run` does."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data.files import is_file
from bench.data.samples import DataInfo
from bench.engine.devices import choose_device
from bench.engine.environment import cuda_devices, git_state, machine, package_versions, threads
from bench.engine.execute import Execution, Journal
from bench.engine.executors import EXECUTORS, make_executor
from bench.engine.import_path import search_here
from bench.engine.lock import locked
from bench.engine.progress import Listener, Silent
from bench.engine.state import JobState
from bench.engine.store import PARTIAL, Store, write_whole
from bench.engine.task import Place
from bench.errors import BenchError, UsageError, did_you_mean
from bench.manifest.digests import CACHE
from bench.planning import (
    Current,
    Options,
    current_plan,
    ledger_of,
    missing_files,
    needed_data,
    needed_jobs,
    path_digest,
    store_folder,
    suite_folder,
    wanted_rows,
)
from bench.results import recording, snapshot, tables
from bench.results.expectations import Finding, examine, exit_code
from bench.results.row import Row
from bench.results.rows import Table, make_rows
from bench.suite.check import read
from bench.suite.jobs import Plan
from bench.suite.spec import Suite

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Version of run.json."""


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        folder: Where its files are.
        suite: What was run.
        rows: The leaderboard's rows.
        findings: What came of each expectation.
        states: How each job ended.
        exit_code: 0 all well, 1 an expectation missed, 3 incomplete.
        interrupted: Whether it was stopped before its end.
    """

    folder: Path
    suite: Suite
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    states: Mapping[str, JobState]
    exit_code: int
    interrupted: bool = False

    @property
    def leaderboard(self) -> pd.DataFrame:
        """The leaderboard as a data frame, one line a row."""
        import pandas as pd

        return pd.DataFrame([dataclasses.asdict(row) for row in self.rows])


def run(
    suite: str | Path | Suite, assignments: Sequence[str] = (), *, listener: Listener | None = None, **options: Any
) -> Run:
    """Run a suite.

    Args:
        suite: A suite file, or a checked suite.
        assignments: ``KEY=VALUE`` changes, as `--set` takes them.
        listener: Is told how it goes; silent when left out.
        **options: Fields of `Options`.

    Returns:
        The run, with its rows; what failed is in their status, not in an exception.

    Raises:
        SuiteError: The suite has mistakes.
        UsageError: The run must not start: no such device, a run folder in use, an unknown executor.

    Example:
        run = bench.run("suites/robustness.yaml", ["data.mnist.take=100"])
        run.leaderboard[["row", "value", "low", "high"]]
    """
    checked = suite if isinstance(suite, Suite) else read(suite, assignments)
    return _run(checked, Options(**options), listener or Silent())


def _run(suite: Suite, options: Options, listener: Listener) -> Run:
    device = choose_device(options.device)
    if options.executor not in EXECUTORS:
        raise UsageError(f"unknown executor '{options.executor}'{did_you_mean(options.executor, EXECUTORS)}")
    if options.batch_size < 1:
        raise UsageError(f"expected --batch-size of at least 1, found {options.batch_size}")
    wanted = wanted_rows(suite, options.only)
    search_here()
    missing = missing_files(suite, wanted)
    if missing:
        raise UsageError("nothing was run: " + "; ".join(missing))
    folder = Path(options.out or Path("reports") / suite.name / time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
    store = Store(store_folder(options.store))
    _prepare_folder(folder, suite)
    _prepare_store(store)
    with locked(folder), _disk_trouble(folder, store):
        hidden = [str(folder.absolute())]
        ledger = ledger_of(suite, options, hidden)
        place = Place(
            suite_folder(suite), str(store.root.absolute()), [str(store.root.absolute()), *hidden], secrets.token_hex(8)
        )
        started = time.time()
        record = _provenance(suite, options, device, os.path.relpath(store.root, folder))
        _write_json(folder / "run.json", {**record, "state": "running", "started": started})
        (folder / snapshot.FILE).unlink(missing_ok=True)  # it would pass for this run's if this one does not end
        interrupted = False
        executor = make_executor(
            options.executor, device=device, batch_size=options.batch_size, log=folder / "worker.log"
        )
        with listener, executor:
            execution = Execution(
                ledger, executor, listener, Journal(folder / "journal.jsonl"), folder / "errors", options.fail_fast,
                place,
            )  # fmt: skip
            try:
                plan, data = _execute(suite, execution, device, wanted)
                CACHE.save()
            except KeyboardInterrupt:
                interrupted = True
                plan, data = current_plan(suite, ledger, device)
        table = make_rows(suite, plan, ledger.states, wanted)
        rows = table.rows
        findings = examine(suite, rows)
        # a model without rows may fail as well
        rowless = (
            not interrupted
            and options.only is None
            and any(spec.train_data in plan.unavailable for spec in suite.models.values())
        )
        failed = rowless or any(state.status != "ok" for state in ledger.states.values())
        code = 3 if interrupted or failed else exit_code(rows, findings, wanted)
        ended = {"state": "interrupted" if interrupted else "ended", "started": started, "ended": time.time()}
        facts = _facts(suite, plan, data, ledger.states, options.only, code, findings)
        result = Run(folder, suite, tuple(rows), tuple(findings), ledger.states, code, interrupted)
        _write_json(folder / "run.json", {**record, **ended, **facts})
        write_outputs(result, plan, table, {**record, **ended, **facts})
        return result


def _execute(suite: Suite, execution: Execution, device: str, wanted: set[str]) -> Current:
    """Run data sources until all samples are known, then everything."""
    current = current_plan(suite, execution.ledger, device)
    CACHE.save()  # for the worker, which looks at the same files
    waiting = sorted(current.plan.waiting & needed_data(suite, wanted))
    if waiting:
        execution.run(current.plan.jobs[f"data/{name}"] for name in waiting)
        current = current_plan(suite, execution.ledger, device)
    execution.run(needed_jobs(suite, current.plan, wanted))
    return current


def _prepare_folder(folder: Path, suite: Suite) -> None:
    """Make the run folder, or make sure that an existing one is a run of this suite."""
    if is_file(folder):
        raise UsageError(f"--out {folder} is a file; expected a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise UsageError(f"cannot make the run folder {folder}: {error.strerror}; choose another with --out") from None
    if "run.json" in files:
        try:
            name = json.loads((folder / "run.json").read_text())["suite"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(
                f"{folder}/run.json is not that of a run; remove it if it is damaged, or give another --out"
            ) from None
        if name != suite.name:
            raise UsageError(f"{folder} holds a run of the suite '{name}', not '{suite.name}'; give another --out")
    elif any(name != ".lock" and not name.startswith(PARTIAL) for name in files):
        raise UsageError(f"{folder} holds other files and no run; give an empty or new folder to --out")


def _prepare_store(store: Store) -> None:
    """Make the store's folder: a run must not find out after hours that it cannot keep a result."""
    try:
        store.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the store {store.root}: {error.strerror}; choose another with --store") from None
    if not os.access(store.root, os.W_OK | os.X_OK):
        raise UsageError(f"the store {store.root} cannot be written into; choose another with --store")


@contextmanager
def _disk_trouble(folder: Path, store: Store) -> Iterator[None]:
    """Say in a sentence what the system says of a full or failing disk."""
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads what is printed: that is no trouble of the disk
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        raise BenchError(
            f"the run cannot go on: {error.strerror or error}{where}; make room in the run folder {folder} and the "
            f"store {store.root}, or choose others with --out and --store, then run the same command again: "
            f"nothing finished is lost"
        ) from error


def _provenance(suite: Suite, options: Options, device: str, store: str) -> dict[str, Any]:
    """Where the figures come from; `store` is a path from the run folder, so that both can be moved together."""
    return {
        "schema": SCHEMA,
        "suite": suite.name,
        "file": suite.file,
        "overrides": list(suite.overrides),
        "seed": suite.seed,
        "device": device,
        "device_names": cuda_devices() if device == "cuda" else [],
        "batch_size": options.batch_size,
        "executor": options.executor,
        "trust": options.trust,
        "threads": threads(),
        "store": store,
        "git": git_state(Path.cwd()),
        "packages": package_versions(),
        "machine": machine(),
        "text": suite.text,
    }


def _facts(
    suite: Suite,
    plan: Plan,
    data: Mapping[str, DataInfo],
    states: Mapping[str, JobState],
    only: str | None,
    code: int,
    findings: Sequence[Finding],
) -> dict[str, Any]:
    """What run.json says of the data, the jobs, the exit code and the expectations."""
    jobs: dict[str, dict[str, Any]] = {}
    for job in plan.jobs:
        state = states.get(job)
        if state is None:
            jobs[job] = {"status": "not-run"}
            continue
        facts: dict[str, Any] = {"status": state.status, "key": state.key, "seconds": state.seconds}
        facts |= {"peak": state.peak} if state.peak else {}
        facts |= {"origin": state.origin, "content": state.content, "message": state.message, "cause": state.cause}
        facts |= {"manifest": state.manifest}
        facts |= {"untracked": {key: list(value) for key, value in state.untracked.items()}} if state.untracked else {}
        jobs[job] = {key: value for key, value in facts.items() if value != ""}
    return {
        "only": only,
        "exit_code": code,
        "data": {name: {"fingerprint": i.fingerprint, "skip": i.skip, "count": i.count} for name, i in data.items()},
        "files": _file_digests(suite),
        "unavailable": dict(plan.unavailable),
        "expectations": [dataclasses.asdict(finding) for finding in findings],
        "jobs": jobs,
    }


def _file_digests(suite: Suite) -> dict[str, str]:
    """What names the content of the weights and samples that were given as files, or by packages."""
    digests = {}
    for spec in suite.models.values():
        packaged = None if spec.packaged is None else spec.packaged.find()
        given = (spec.block.weights, spec.block.samples, None if packaged is None else str(packaged))
        for path in filter(None, given):
            with suppress(BenchError):  # its job has said what is wrong with it
                digests[path] = path_digest(path)
    return digests


def _write_json(path: Path, content: Any) -> None:
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def write_outputs(run: Run, plan: Plan, table: Table, record: Mapping[str, Any]) -> None:
    """The CSV files, the snapshot and the page."""
    from bench.report.page import write_page

    taken = recording.take(run.suite, plan, run.states, table, record)
    write_whole(run.folder / snapshot.FILE, snapshot.to_json(taken).encode())

    write_whole(run.folder / "leaderboard.csv", tables.leaderboard(run.rows).encode())
    write_whole(run.folder / "outcomes.csv", tables.outcomes(run.suite, plan, run.states).encode())
    write_page(run.folder / "report.html", run.suite, plan, run.states, run.rows, run.findings, record, table.judged)
