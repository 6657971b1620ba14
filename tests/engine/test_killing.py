"""`kill -9` at random moments, and Ctrl-C: what is finished stays, and running on ends like an undisturbed run."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: killed
data:
  train: {source: mnist, split: train, take: 2000}
  test: {source: mnist, take: 600}
  grid: {source: grid25, samples: 1000}
models:
  softmax: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 1}}
  mlp: {kind: classifier, arch: {mlp: {hidden: [16]}}, trials: 2, train: {recipe: standard, data: train, epochs: 1}}
  ae: {kind: autoencoder, arch: {autoencoder: {hidden: [16]}}, train: {recipe: autoencoding, data: train, epochs: 1}}
  gan: {kind: generator, arch: {gan-grid: {width: 16}}, train: {recipe: packed-gan, data: grid, iterations: 300}}
evaluations:
  wb:
    kind: robustness
    models: [softmax, mlp]
    data: test
    threat: {norm: linf, epsilon: [0.05, 0.1]}
    attacks: [fgsm, {pgd: {steps: 20, restarts: 2}}]
  transfer:
    kind: transfer
    surrogates: [softmax, mlp]
    victims: [mlp]
    data: test
    threat: {norm: l2, epsilon: 1}
    attacks: [{pgd: {steps: 10}}]
  rec: {kind: reconstruction, models: [ae], data: test, attacks: [{latent: {steps: 40}}], pairs: 10}
  gen: {kind: generation, models: [gan], data: grid, samples: 200, metrics: [modes]}
"""
KILLS = 10
CHAINS = 5
"""Runs that are killed, each KILLS / CHAINS times before it may end."""


def start(folder: Path, place: str) -> subprocess.Popen[str]:
    """The suite as a process group of its own; one thread, so that two fit on two cores."""
    words = ["run", "suite.yaml", "--store", f"{place}/store", "--out", f"{place}/out", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@dataclass(frozen=True)
class Attempt:
    """One start of a run: whether it was killed, and the lines it added to the journal."""

    killed: bool
    lines: list[Mapping[str, Any]]

    def jobs(self, event: str, **facts: str) -> set[str]:
        return {
            line["job"]
            for line in self.lines
            if line["event"] == event and all(line.get(key) == value for key, value in facts.items())
        }


class Moment(NamedTuple):
    """When to kill: so long after so many jobs have ended in this attempt."""

    ended: int
    pause: float


def wait_for(moment: Moment, process: subprocess.Popen[str], journal: Path, seen: int) -> None:
    """Return at the moment to kill, or when the process has ended by itself."""
    while process.poll() is None:
        lines = journal.read_text().splitlines()[seen:] if journal.exists() else []
        if sum('"ended"' in line for line in lines) >= moment.ended:
            break
        time.sleep(0.005)
    time.sleep(moment.pause)


def chain(folder: Path, place: str, moments: list[Moment]) -> list[Attempt]:
    """Run a suite, killed at these moments, and then to its end."""
    attempts: list[Attempt] = []
    journal = folder / place / "out" / "journal.jsonl"
    for moment in [*moments, None]:
        seen = sum(len(attempt.lines) for attempt in attempts)
        process = start(folder, place)
        if moment is not None:
            wait_for(moment, process, journal, seen)
            assert process.poll() is None, "the run ended before it could be killed"
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        assert process.returncode == (0 if moment is None else -signal.SIGKILL), output
        lines = journal.read_text().splitlines() if journal.exists() else []
        attempts.append(Attempt(process.returncode != 0, [json.loads(line) for line in lines[seen:]]))
    return attempts


def without_times(path: Path) -> list[dict[str, str]]:
    """The lines of a leaderboard but for the columns that tell seconds and memory."""
    with path.open() as file:
        return [
            {key: value for key, value in line.items() if key not in ("seconds", "memory")}
            for line in csv.DictReader(file)
        ]


def test_killed_runs_end_like_an_undisturbed_one(workshop: Workshop) -> None:
    folder = workshop.folder
    workshop.suite(SUITE)
    started = time.monotonic()
    (undisturbed,) = chain(folder, "undisturbed", [])
    duration = time.monotonic() - started
    jobs = undisturbed.jobs("ended", status="ok")
    assert len(jobs) == len(undisturbed.jobs("queued")) > 20

    choose = random.Random(20)  # noqa: S311 - chooses moments, not secrets
    # 0: while it starts or trains; the later ones while attacks and verifications end
    ended = [0, 0, *(choose.randint(1, 20) for _ in range(KILLS - 2))]
    moments = [Moment(count, choose.uniform(0, 3.0 if count == 0 else 0.1)) for count in ended]
    choose.shuffle(moments)
    planned = [moments[number::CHAINS] for number in range(CHAINS)]
    places = [f"killed{number}" for number in range(CHAINS)]
    with ThreadPoolExecutor(2) as pool:
        chains = list(pool.map(chain, [folder] * CHAINS, places, planned))

    kills = amid = 0
    for place, attempts in zip(places, chains, strict=True):
        finished: set[str] = set()
        for attempt in attempts:
            assert not attempt.jobs("queued") & finished, "a job that had ended was queued again"
            finished |= attempt.jobs("ended", status="ok")
            kills += attempt.killed
            amid += attempt.killed and 0 < len(finished) < len(jobs)
        assert finished | attempts[-1].jobs("found") == jobs
        for name in ("leaderboard.csv", "outcomes.csv"):
            killed, whole = (folder / where / "out" / name for where in (place, "undisturbed"))
            if name == "outcomes.csv":
                assert killed.read_bytes() == whole.read_bytes()
            else:
                assert without_times(killed) == without_times(whole)
    print(f"\nundisturbed: {len(jobs)} jobs in {duration:.1f} s; {kills} kills, {amid} of them with some jobs ended")
    for place, attempts in zip(places, chains, strict=True):
        told = [f"{len(attempt.jobs('found'))} found, {len(attempt.jobs('ended'))} done" for attempt in attempts]
        print(f"{place}: {'; '.join(told)}")
    assert kills == KILLS
    assert amid >= KILLS - 2


NAPPING = """
import os, time
def attack(model, x, goal, *, threat, draws):
    time.sleep(float(os.environ.get("NAP", "0")))
    return x
"""


def test_ctrl_c(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.module("napping", NAPPING)
    toy.suite(toy.suite().read_text().replace("{pgd: {steps: 3}}", '"napping:attack"'))
    monkeypatch.setenv("NAP", "60")
    process = start(toy.folder, ".")
    journal = toy.folder / "out" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_text().count('"ended"') == 3):  # all but the napping attack's
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the run and its worker
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "interrupted; run the same command again to go on, nothing finished is lost" in output
    assert "Traceback" not in output
    lines = without_times(toy.folder / "out" / "leaderboard.csv")
    statuses = {(line["attack"], line["status"]) for line in lines}
    assert statuses == {("clean", "ok"), ("fgsm", "ok"), ("attack", "not-run"), ("worst-case", "not-run")}
    assert json.loads((toy.folder / "out" / "run.json").read_text())["state"] == "interrupted"

    monkeypatch.setenv("NAP", "0")
    again = start(toy.folder, ".")
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert "3 of 5 jobs were done before" in output
    assert {line["status"] for line in without_times(toy.folder / "out" / "leaderboard.csv")} == {"ok"}


def test_an_interrupt_within_this_process(toy: Workshop) -> None:
    toy.module("stop", "def attack(*args, **options): raise KeyboardInterrupt\n")
    run = toy.run(toy.suite().read_text().replace("{pgd: {steps: 3}}", '"stop:attack"'))
    assert run.interrupted
    assert run.exit_code == 3
    assert "attack/wb/lin/0/fgsm/0" in run.states
