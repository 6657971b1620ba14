"""What a run of a suite has to do, and what of it is done already."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from bench.data.catalogue import Folder, Npz
from bench.data.files import file_digest, is_file, is_folder
from bench.data.folder import image_files
from bench.data.samples import DataInfo
from bench.engine.devices import choose_device
from bench.engine.import_path import search_here
from bench.engine.ledger import Ledger
from bench.engine.store import DIGESTS, Store, read_record
from bench.errors import BenchError, UsageError
from bench.hashing import digest
from bench.manifest.digests import CACHE, Digests
from bench.manifest.holding import Holding
from bench.manifest.roots import Roots
from bench.suite import names
from bench.suite.inputs import Inputs
from bench.suite.jobs import Job, Plan
from bench.suite.plan import make_plan
from bench.suite.spec import Suite


@dataclass(frozen=True)
class Options:
    """How to run a suite; everything here leaves the figures as they are, but for `device`.

    Attributes:
        out: Run folder; ``reports/<suite>/<time>`` when None.
        store: Folder of finished jobs; ``$BENCH_STORE`` or ``reports/.store`` when None.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch_size: Largest batch; halved where memory runs out.
        executor: Where jobs are done: ``local`` (a worker process) or ``inline`` (this process).
        only: Glob over row ids; only what these rows need is run.
        recompute: Ignore stored outcomes.
        retrain: Ignore stored weights.
        fail_fast: Start nothing more after the first failure.
        trust: Believe stored results of users' code that cannot be tracked.
    """

    out: Path | str | None = None
    store: Path | str | None = None
    device: str = "auto"
    batch_size: int = 500
    executor: str = "local"
    only: str | None = None
    recompute: bool = False
    retrain: bool = False
    fail_fast: bool = False
    trust: bool = False


def store_folder(store: Path | str | None) -> Path:
    """Where finished jobs are kept."""
    return Path(store or os.environ.get("BENCH_STORE") or Path("reports") / ".store")


class Earlier(NamedTuple):
    """What a run found its data sets to be.

    Attributes:
        data: The data sets whose samples were known.
        unavailable: The others, with the reason.
    """

    data: Mapping[str, DataInfo]
    unavailable: Mapping[str, str]


class Current(NamedTuple):
    """A plan, and what is known of the data sets it was made from.

    Attributes:
        plan: The plan.
        data: The data sets whose samples are known.
    """

    plan: Plan
    data: Mapping[str, DataInfo]


def current_plan(suite: Suite, ledger: Ledger, device: str, earlier: Earlier | None = None) -> Current:
    """The plan, as far as the samples of data sources that need running are known.

    Args:
        suite: A checked suite.
        ledger: Knows how the jobs of these data sources ended.
        device: ``cpu`` or ``cuda``.
        earlier: What an earlier run found, in place of looking at the data now.
    """
    earlier = earlier or Earlier({}, {})
    materialised = {name: DataInfo(info.fingerprint, info.skip + info.count) for name, info in earlier.data.items()}
    failures = dict(earlier.unavailable)
    for name in suite.data:
        state = ledger.states.get(f"data/{name}")
        if state is not None and state.path is not None:
            count = int(read_record(state.path).meta["count"])
            materialised[name] = DataInfo(f"materialised/{state.content}", count)
        elif state is not None:
            failures[name] = f"data/{name} {state.status}: {state.message}"
    inputs = Inputs(suite, file_digest=path_digest, materialised=materialised, failures=failures)
    return Current(make_plan(inputs, device=device), inputs.infos)


def path_digest(path: str) -> str:
    """Names the content of a file, or of the images in a folder.

    Raises:
        BenchError: There is no such file or folder.
    """
    place = Path(path)
    if is_folder(place):
        return digest([[str(file.relative_to(place)), file_digest(file)] for file in image_files(place)])
    if not is_file(place):
        raise BenchError(f"expected a file at {path}, found none")
    return file_digest(place)


def wanted_rows(suite: Suite, only: str | None) -> set[str]:
    """The ids of the rows to fill."""
    known = list(names.all_rows(suite))
    if only is None:
        return set(known)
    # a glob for a part of the id, such as whitebox/cnn, takes in everything below it
    matching = {row for row in known if fnmatch.fnmatch(row, only) or fnmatch.fnmatch(row, f"{only.rstrip('/')}/*")}
    if not matching:
        raise UsageError(f"--only '{only}' matches none of the {len(known)} rows; `bench plan` lists them")
    return matching


def needed_jobs(suite: Suite, plan: Plan, wanted: set[str]) -> list[Job]:
    """The jobs that the wanted rows need; all jobs when everything is wanted, models without rows included."""
    if wanted == set(names.all_rows(suite)):
        return list(plan.jobs.values())
    roots: list[str] = []
    for cell in plan.cells:
        for of_rows in names.all_cell_rows(suite, cell):
            if wanted.intersection(of_rows.rows):
                roots += [job for trial in of_rows.trials for job in trial]
    for (evaluation, model), audit in plan.audits.items():
        # a verdict is over all attacks: a run of one of them alone has none
        if wanted & set(names.cell_rows(suite, evaluation, model, names.WORST_CASE, None)):
            roots += audit.jobs
    needed: set[str] = set()
    while roots:
        job = roots.pop()
        if job not in needed:
            needed.add(job)
            roots += plan.jobs[job].awaited
    return [job for job in plan.jobs.values() if job.id in needed]


def needed_data(suite: Suite, wanted: set[str]) -> set[str]:
    """The data sets that the evaluations of the wanted rows use, or that their models are trained on."""
    if wanted == set(names.all_rows(suite)):
        return set(suite.data)
    needed = {suite.evaluations[row.partition("/")[0]].data for row in wanted}
    trained_on = (suite.models[model].train_data for model in _needed_models(suite, wanted))
    return needed | set(filter(None, trained_on))


def _needed_models(suite: Suite, wanted: set[str]) -> set[str]:
    """The models that the evaluations of the wanted rows name."""
    if wanted == set(names.all_rows(suite)):
        return set(suite.models)
    models: set[str] = set()
    for name in {row.partition("/")[0] for row in wanted}:
        models |= set(names.evaluated(suite.evaluations[name]))
    return models & set(suite.models)


def missing_files(suite: Suite, wanted: set[str]) -> list[str]:
    """A sentence for each file, folder or package of weights that the wanted rows need and that is not there."""
    named = [
        (f"data '{name}'", options.path)
        for name in sorted(needed_data(suite, wanted))
        if isinstance(options := suite.data[name].options, Npz | Folder)
    ]
    lacking = []
    for name in sorted(_needed_models(suite, wanted)):
        block, packaged = suite.models[name].block, suite.models[name].packaged
        if packaged is not None and packaged.find() is None:
            lacking.append(f"model '{name}': {packaged.missing}")
        named += [(f"model '{name}'", path) for path in (block.weights, block.samples) if path is not None]
    return lacking + [
        f"{owner}: expected a file or folder at {path}, found none (paths start at {Path.cwd()})"
        for owner, path in named
        if not is_file(Path(path)) and not is_folder(Path(path))
    ]


@dataclass(frozen=True)
class PlannedJob:
    """A line of `bench plan`.

    Attributes:
        job: The job.
        origin: ``store`` or ``zoo`` where its result is there already, empty where it is to be done.
        reason: Why it is to be done.
    """

    job: Job
    origin: Literal["store", "zoo", ""]
    reason: str


def forecast(suite: Suite, options: Options) -> tuple[Plan, list[PlannedJob]]:
    """What a run would do: which jobs are cached, and for the others why not."""
    device = choose_device(options.device)
    search_here()
    ledger = ledger_of(suite, options)
    made = current_plan(suite, ledger, device).plan
    if made.waiting:
        for name in sorted(made.waiting):
            job = made.jobs[f"data/{name}"]
            if (found := ledger.find(job)) is not None:
                ledger.states[job.id] = found
        made = current_plan(suite, ledger, device).plan
    wanted = needed_jobs(suite, made, wanted_rows(suite, options.only))
    lines: list[PlannedJob] = []
    for job in wanted:
        missing = next((other for other in job.awaited if other not in ledger.states), None)
        if missing is not None:
            lines.append(PlannedJob(job, "", f"needs {missing}, which is to be done"))
        elif (found := ledger.states.get(job.id) or ledger.find(job)) is not None:
            ledger.states[job.id] = found
            lines.append(PlannedJob(job, "zoo" if found.origin == "zoo" else "store", ""))
        else:
            ignored = options.retrain if job.kind == "train" else options.recompute
            reason = ledger.refusals.get(job.id, "not done before")
            lines.append(PlannedJob(job, "", "its stored result is to be ignored" if ignored else reason))
    CACHE.save()
    return made, lines


def ledger_of(suite: Suite, options: Options, hidden: Sequence[str] = ()) -> Ledger:
    """What is known of a suite's jobs, by the store that the options name.

    Args:
        suite: A checked suite.
        options: How to run it.
        hidden: Folders besides the store that never count in lists, such as the run folder.
    """
    store = store_folder(options.store)
    CACHE.open(store.absolute() / DIGESTS)
    holding = Holding(Roots.here(suite_folder(suite)), Digests([str(store.absolute()), *hidden]))
    return Ledger(
        Store(store), holding=holding, recompute=options.recompute, retrain=options.retrain, trust=options.trust
    )


def suite_folder(suite: Suite) -> str:
    """The folder of a suite's file; the working folder where the suite is no file."""
    return str(Path(suite.file).absolute().parent)
