"""Whole records put in the place of others are not believed."""

from __future__ import annotations

import csv
import os
import random
import shutil
from pathlib import Path

from bench.runner import Run
from tests.conftest import Workshop

SUITE = """
suite: swapped
data:
  train: {source: mnist, split: train, take: 200}
  toy: {source: npz, path: toy.npz}
  digits: {source: mnist, take: 30}
models:
  lin: {kind: classifier, load: "toy:linear"}
  weak: {kind: classifier, load: "toy:linear", args: {scale: 0.5}}
  soft: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 1}, trials: 2}
evaluations:
  wb:
    kind: robustness
    models: [lin, weak]
    data: toy
    threat: {norm: linf, epsilon: [0.1, 0.3]}
    attacks: [fgsm, {pgd: {steps: 3}}]
  own: {kind: robustness, models: [soft], data: digits, threat: {norm: linf, epsilon: 0.05}, attacks: [fgsm]}
"""


def figures(run: Run) -> list[tuple[str, float, str, str]]:
    return [(row.row, row.value, row.status, row.message) for row in run.rows]


def shown(run: Path) -> list[tuple[str, ...]]:
    """The figures of a leaderboard."""
    with (run / "leaderboard.csv").open(newline="") as file:
        return [tuple(row[key] for key in ("row", "value", "low", "high", "status")) for row in csv.DictReader(file)]


def disturb(kind: str, first: Path, other: Path) -> None:
    """Put one file in the place of another."""
    if kind == "swap":
        kept = first.with_name(".kept")
        first.rename(kept)
        other.rename(first)
        kept.rename(other)
    elif kind == "copy":
        shutil.copyfile(first, other)
    elif kind == "rename":
        first.replace(other)
    else:
        other.unlink()
        os.link(first, other)


def test_two_hundred_swaps_change_no_figure(toy: Workshop) -> None:
    clean = figures(toy.run(SUITE))
    chance = random.Random(0)  # noqa: S311
    done = 0
    for number in range(40):
        files = sorted(path for path in (toy.folder / "store").rglob("*") if path.is_file() and path.name[0] != ".")
        records = [path for path in files if path.name != "digests.json"]
        for _ in range(5):
            first, other = chance.sample([path for path in records if path.exists()], 2)
            disturb(chance.choice(["swap", "copy", "rename", "link"]), first, other)
            done += 1
        run = toy.run(SUITE, out=toy.folder / f"again-{number}")
        assert (run.exit_code, figures(run)) == (0, clean), number
        assert not list((run.folder / "errors").glob("*")), "nothing failed on the way"
    assert done == 200


def test_a_report_shows_no_record_of_another_job(toy: Workshop) -> None:
    toy.run(SUITE)
    table = shown(toy.folder / "out")
    chance = random.Random(1)  # noqa: S311
    for _ in range(20):
        shutil.rmtree(toy.folder / "kept", ignore_errors=True)
        shutil.copytree(toy.folder / "store", toy.folder / "kept")
        records = sorted(path for path in (toy.folder / "store").glob("*/??/*") if path.parts[-3] != "manifest")
        first, other = chance.sample(records, 2)
        disturb("copy", first, other)
        told = toy.shell("report", "out")
        assert "Traceback" not in told.stderr
        assert told.returncode in (0, 3)
        if told.returncode == 0:
            assert shown(toy.folder / "out") == table
        shutil.rmtree(toy.folder / "store")
        shutil.copytree(toy.folder / "kept", toy.folder / "store")
