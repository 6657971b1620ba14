"""Baselines on disk: what `bench baseline` and `bench gate` do, without the store and without torch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from bench.engine.store import write_whole
from bench.errors import UsageError
from bench.results import gate_reports, snapshot
from bench.results.gating import Gate, gate
from bench.results.row import MASKED, SUSPECT
from bench.results.snapshot import Snapshot

FOLDER = Path("baselines")


def default_path(run: Snapshot) -> Path:
    """Where the baseline of a run's suite and class of device is looked for."""
    return FOLDER / f"{run.suite}-{run.device}.json"


def write(run_folder: Path, output: Path | None = None) -> str:
    """Write a run's baseline; a sentence that says what was written.

    Raises:
        UsageError: The run has no gated rows, or some of them have no figure.
    """
    run = snapshot.read(run_folder)
    path = output or default_path(run)
    if not run.gated:
        raise UsageError(
            f"the suite '{run.suite}' gates no rows: it has no robustness evaluation; name rows under `gate: rows:`"
        )
    lacking = [row for row in run.gated if not run.rows[row].values]
    if lacking:
        first = run.rows[lacking[0]]
        raise UsageError(
            f"{len(lacking)} of {len(run.gated)} gated rows have no figure, the first is {lacking[0]} "
            f"({first.status}: {first.message}); a baseline needs all of them, so finish the run first"
        )
    write_whole(path, snapshot.to_json(run.only_gated()).encode())
    hiding = [row for row in run.gated if run.rows[row].model_verdict in (SUSPECT, MASKED)]
    warning = ""
    if hiding:
        warning = (
            f"\n{len(hiding)} of them are of models that are masked or suspect, the first is {hiding[0]}: their "
            f"figures say little, and an honest model may look worse beside them"
        )
    return f"wrote {path}: {len(run.gated)} rows of {run.suite} on {run.device}{warning}"


def judge(
    run_folder: Path,
    baseline: Path | None = None,
    *,
    inconclusive_fails: bool = False,
    junit: Path | None = None,
    markdown: Path | None = None,
) -> Gate:
    """Compare a run with its baseline, and write what was found as JUnit XML and Markdown.

    Args:
        run_folder: The run.
        baseline: The baseline; that of the suite and class of device below `baselines/` when left out.
        inconclusive_fails: Whether inconclusive rows are failures in the JUnit file.
        junit: Where the JUnit file goes; ``gate.xml`` in the run folder when left out.
        markdown: Where the summary goes; ``gate.md`` in the run folder when left out.

    Raises:
        UsageError: There is no baseline, it is of another suite, or one of the two cannot be read.
    """
    run = snapshot.read(run_folder)
    path = baseline or default_path(run)
    if not path.exists():
        raise UsageError(
            f"there is no baseline at {path}; if the figures of this run are good, write it with "
            f"`bench baseline {run_folder} -o {path}` and commit it"
        )
    before = snapshot.read(path)
    if before.suite != run.suite:
        raise UsageError(f"{path} is a baseline of the suite '{before.suite}', the run is one of '{run.suite}'")
    found = gate(run, before)
    folder = run_folder if run_folder.is_dir() else run_folder.parent
    summary = gate_reports.markdown(found)
    text = gate_reports.junit(found, inconclusive_fails=inconclusive_fails)
    write_whole(junit or folder / "gate.xml", text.encode())
    write_whole(markdown or folder / "gate.md", summary.encode())
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if not page:
        return found
    try:
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(summary)
    except OSError as error:  # the answer is there all the same
        return replace(found, notes=(*found.notes, f"the summary could not be added to $GITHUB_STEP_SUMMARY: {error}"))
    return found
