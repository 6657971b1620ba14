"""The command line: commands and what they print, nothing else. Torch is imported by no command but `report`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bench.errors import BenchError, SuiteError, UsageError


class _Commands(TyperGroup):
    """The commands; a mistake of the user's ends with a sentence and exit code 2 (3 while running)."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Typer itself would end an interrupted run, or one nobody reads, as a regression (1)."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except SuiteError as error:
            count = len(error.problems)
            print(f"{error}\n{count} mistake{'s' * (count > 1)}; nothing was run", file=sys.stderr)
            raise typer.Exit(2) from None
        except UsageError as error:
            print(f"bench: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            raise typer.Exit(3) from None
        except KeyboardInterrupt:
            print("bench: interrupted", file=sys.stderr)
            raise typer.Exit(3) from None
        except BrokenPipeError:
            # what is left in the buffer would raise again when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(3) from None


app = typer.Typer(
    cls=_Commands,
    help="Robustness benchmarks for classifiers, autoencoders and GANs, from one YAML file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SuiteFile = Annotated[str, typer.Argument(metavar="SUITE", help="A suite file, such as suites/robustness.yaml.")]
Assignments = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the suite; may be given again.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder  [default: reports/SUITE/TIME]")]
StoreFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of finished jobs  [default: $BENCH_STORE or reports/.store]"),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where models run.")]
BatchSize = Annotated[int, typer.Option(metavar="N", help="Largest batch; halved where memory runs out.")]
ExecutorName = Annotated[str, typer.Option(metavar="local|inline", help="Where jobs are done.")]
Only = Annotated[str | None, typer.Option(metavar="GLOB", help="Fill only the rows whose id matches.")]
Recompute = Annotated[bool, typer.Option("--recompute", help="Ignore stored outcomes.")]
Retrain = Annotated[bool, typer.Option("--retrain", help="Ignore stored weights.")]
Trust = Annotated[bool, typer.Option("--trust", help="Believe stored results of code that cannot be tracked.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Start nothing more after the first failure.")]


@app.command()
def run(
    suite: SuiteFile,
    out: Out = None,
    store: StoreFolder = None,
    device: Device = "auto",
    batch_size: BatchSize = 500,
    executor: ExecutorName = "local",
    only: Only = None,
    assignments: Assignments = [],  # noqa: B006 - typer copies it
    recompute: Recompute = False,
    retrain: Retrain = False,
    fail_fast: FailFast = False,
    trust: Trust = False,
) -> None:
    """Run a suite and write its leaderboard and page.

    The run folder gets leaderboard.csv, outcomes.csv, run.json and report.html.

    Exit codes: 0 all well; 1 an expected figure was missed; 2 a bad suite or command line; 3 a job failed, was lost,
    timed out or was not run.
    """
    from bench.engine.progress import listener_for
    from bench.runner import run as run_suite
    from bench.summary import summary

    checked = _read(suite, assignments)
    result = run_suite(
        checked,
        listener=listener_for(sys.stdout),
        out=out,
        store=store,
        device=device,
        batch_size=batch_size,
        executor=executor,
        only=only,
        recompute=recompute,
        retrain=retrain,
        fail_fast=fail_fast,
        trust=trust,
    )
    print(summary(result, only))
    raise typer.Exit(result.exit_code)


@app.command()
def check(suite: SuiteFile, assignments: Assignments = []) -> None:  # noqa: B006 - typer copies it
    """Print all mistakes of a suite, with file:line:column."""
    from bench.suite import names

    checked = _read(suite, assignments)
    counts = {
        "data set": len(checked.data),
        "model": len(checked.models),
        "evaluation": len(checked.evaluations),
        "row": sum(1 for _ in names.all_rows(checked)),
    }
    parts = [f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()]
    print(f"{suite} is well formed: {', '.join(parts)}")


@app.command()
def plan(
    suite: SuiteFile,
    store: StoreFolder = None,
    device: Device = "auto",
    only: Only = None,
    assignments: Assignments = [],  # noqa: B006 - typer copies it
    recompute: Recompute = False,
    retrain: Retrain = False,
    trust: Trust = False,
) -> None:
    """Print the jobs of a suite, and its rows.

    A job is cached, or to be done for the reason given. Nothing is run.
    """
    from bench.planning import Options, forecast, wanted_rows
    from bench.suite import names

    checked = _read(suite, assignments)
    options = Options(store=store, device=device, only=only, recompute=recompute, retrain=retrain, trust=trust)
    made, jobs = forecast(checked, options)
    for line in jobs:
        print(f"{'cached' if line.origin else 'to do':7} {line.job.id}  ({line.origin or line.reason})")
    for name in sorted(made.waiting):
        print(f"{'later':7} what uses data '{name}'  (its samples are known when data/{name} has run)")
    for name, reason in made.unavailable.items():
        print(f"{'cannot':7} what uses data '{name}'  ({reason})")
    wanted = wanted_rows(checked, only)
    for row in filter(wanted.__contains__, names.all_rows(checked)):
        print(f"{'row':7} {row}")
    done = sum(1 for line in jobs if line.origin)
    print(f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}: {done} cached, {len(jobs) - done} to do")


@app.command()
def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as reports/robustness/...")],
    store: StoreFolder = None,
) -> None:
    """Write a run's CSV files and page again.

    They are made from the run folder and the store; nothing is run.
    """
    from bench.reopening import report as write_again
    from bench.results.rows import NOT_ASKED

    result = write_again(run_folder, store)
    missing = sum(1 for row in result.rows if row.status != "ok" and row.message != NOT_ASKED)
    print(f"wrote {result.folder / 'report.html'}")
    if missing:
        print(f"{missing} of {len(result.rows)} rows have no figure")
        raise typer.Exit(3)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A run folder, or a baseline.")],
    now: Annotated[Path, typer.Argument(metavar="NOW", help="A later run folder.")],
) -> None:
    """Compare two runs row by row, by the samples that both have.

    Every row that has a better direction is compared. Exit codes: 0; 2 where one of them cannot be read.
    """
    from bench.results.gate_reports import terminal
    from bench.results.gating import gate as judge
    from bench.results.snapshot import read

    print(terminal(judge(read(now), read(before), whole=True)))


@app.command()
def baseline(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="[default: baselines/SUITE-DEVICE.json]")
    ] = None,
) -> None:
    """Write what `bench gate` compares later runs with, or write it anew.

    It holds the rows that the suite's gate names, with the outcome of each sample. Commit it.
    """
    from bench.results.baselines import write

    print(write(run_folder, output))


@app.command()
def gate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="[default: baselines/SUITE-DEVICE.json]")
    ] = None,
    inconclusive_fails: Annotated[
        bool, typer.Option("--inconclusive-fails", help="Exit with 4 where a drop may be chance.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="[default: RUN/gate.xml]")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="[default: RUN/gate.md]")] = None,
) -> None:
    """Compare a run with a baseline, and fail where it is worse.

    Writes JUnit XML and a Markdown summary, which is added to $GITHUB_STEP_SUMMARY where that is set.

    Exit codes: 0 no row is worse; 1 a regression; 2 no baseline, or a bad command line; 3 a row could not be compared,
    or nothing was; 4 a drop may be chance, with --inconclusive-fails.
    """
    from bench.results.baselines import judge
    from bench.results.gate_reports import terminal

    found = judge(run_folder, baseline, inconclusive_fails=inconclusive_fails, junit=junit, markdown=markdown)
    print(terminal(found))
    raise typer.Exit(found.exit_code(inconclusive_fails=inconclusive_fails))


@app.command("list")
def list_(
    kind: Annotated[
        str, typer.Argument(metavar="attacks|metrics|models|data|recipes|defenses|checks", help="What to list.")
    ],
) -> None:
    """List what a suite can name.

    Each entry comes with one line, its source and its options.
    """
    from bench.suite.reference import CATALOGUES, option_lines

    if kind not in CATALOGUES:
        from bench.errors import did_you_mean

        raise UsageError(f"there is no list of '{kind}'{did_you_mean(kind, CATALOGUES)}")
    for component in CATALOGUES[kind].values():
        print(f"{component.name}\n    {component.line}\n    source: {component.source}")
        for line in option_lines(component.options):
            print(f"    {line}")


@app.command()
def schema() -> None:
    """Print the JSON schema of a suite, for editors."""
    from bench.suite.json_schema import suite_schema

    print(json.dumps(suite_schema(), indent=2))


@app.command()
def doctor(store: StoreFolder = None) -> None:
    """Say what this machine has and what it lacks.

    Looks for the device, packages, data, weights and store. What is missing comes with the line that installs it.
    """
    from bench.doctor import examine

    findings = examine(store)
    for finding in findings:
        verdict = "ok" if finding.good else "MISSING" if finding.needed else "note"
        print(f"{verdict:8} {finding.subject}: {finding.found}")
        if finding.remedy:
            print(f"{'':8} {finding.remedy}")
    if any(finding.needed and not finding.good for finding in findings):
        raise typer.Exit(3)


def _read(suite: str, assignments: list[str]) -> Any:
    """A checked suite, with its warnings printed."""
    from bench.suite.check import read

    checked = read(suite, assignments)
    for warning in checked.warnings:
        print(warning, file=sys.stderr)
    return checked


def main() -> NoReturn:
    """Run the command line."""
    app()
    sys.exit(0)
