"""`bench report`: the tables of a run again, from its folder and the store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.engine.store import Store
from bench.errors import UsageError
from bench.reopening import report

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: mixed
data:
  toy: {source: npz, path: toy.npz}
  made: {source: "maker:points"}
  gone: {source: npz, path: toy.npz, x: nothing}
  broken: {source: "maker:raising"}
  grid: {source: ring8, samples: 300}
models:
  lin: {kind: classifier, load: "toy:linear"}
  bad: {kind: classifier, load: "maker:raising"}
  gan: {kind: generator, arch: {gan-grid: {width: 8}}, train: {recipe: packed-gan, data: grid, iterations: 2}}
evaluations:
  wb:
    kind: robustness
    models: [lin, bad]
    data: toy
    threat: {norm: linf, epsilon: [0.1, 0.3]}
    attacks: [fgsm, {pgd: {steps: 3}}]
  made: {kind: robustness, models: [lin], data: made, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm]}
  gone: {kind: robustness, models: [lin], data: gone, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm]}
  broken: {kind: robustness, models: [lin], data: broken, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm]}
  gen: {kind: generation, models: [gan], data: grid, samples: 50, metrics: [modes]}
"""
TABLES = ("leaderboard.csv", "outcomes.csv", "run.json")


@pytest.fixture
def mixed(toy: Workshop) -> Workshop:
    """A run with rows that are ok, failed and skipped."""
    toy.module(
        "maker",
        "import numpy as np\n"
        "def points(): return np.full((5, 4), 0.75), np.ones(5, int)\n"
        "def raising(): raise ValueError('no')\n",
    )
    run = toy.run(SUITE)
    assert {row.status for row in run.rows} == {"ok", "failed", "skipped"}
    return toy


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def test_the_same_tables_again(mixed: Workshop) -> None:
    out = mixed.folder / "out"
    before = tables(out)
    for name in (*TABLES[:2], "report.html"):
        (out / name).unlink()
    run = report(out)
    assert tables(out) == before
    assert (out / "report.html").stat().st_size > 0
    assert run.exit_code == 3


def test_neither_data_nor_code_nor_place_are_needed(mixed: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(mixed.folder / "out")
    for name in ("toy.npz", "toy.py", "maker.py"):
        (mixed.folder / name).unlink()
    moved = mixed.folder / "moved"
    moved.mkdir()
    for name in ("out", "store"):
        shutil.move(mixed.folder / name, moved / name)
    monkeypatch.chdir("/")
    report(moved / "out")
    assert tables(moved / "out") == before


def test_data_that_has_grown_since(mixed: Workshop) -> None:
    before = tables(mixed.folder / "out")
    mixed.toy(count=1200)
    report(mixed.folder / "out")
    assert tables(mixed.folder / "out") == before


def test_a_record_that_is_gone(mixed: Workshop) -> None:
    record = json.loads((mixed.folder / "out" / "run.json").read_text())
    job = record["jobs"]["verify/wb/lin/0/pgd/0"]
    path = Store(mixed.folder / "store").path("verify", job["key"], job["manifest"])
    path.unlink()
    rows = mixed.rows(report(mixed.folder / "out"))
    lost = rows["wb/lin/pgd/linf-0.1/robust_accuracy"]
    assert lost.status == "not-run"
    assert "its record is no longer in" in lost.message
    assert "run the suite again" in lost.message
    assert rows["wb/lin/worst-case/linf-0.1/robust_accuracy"].status == "not-run"
    assert rows["wb/lin/fgsm/linf-0.1/robust_accuracy"].status == "ok"


def test_another_store(mixed: Workshop) -> None:
    before = tables(mixed.folder / "out")
    (mixed.folder / "store").rename(mixed.folder / "elsewhere")
    with pytest.raises(UsageError, match=r"has no record of this run: name the store .* nothing was written"):
        report(mixed.folder / "out")
    assert tables(mixed.folder / "out") == before
    report(mixed.folder / "out", mixed.folder / "elsewhere")
    assert tables(mixed.folder / "out") == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "out holds no run: expected a readable run.json in it"),
        ("", "out holds no run"),
        ('{"suite', "out holds no run"),
        ("[]", "run.json has schema None; this version reads 1"),
        ('{"schema": 99}', "run.json has schema 99; this version reads 1"),
        ('{"schema": 1, "suite": "x"}', "the run in .*out has not ended; run the same command again"),
        ('{"schema": 1, "jobs": {}}', "run.json lacks data, device, exit_code, file"),
    ],
)
def test_what_is_no_run(tmp_path: Path, content: str | None, message: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if content is not None:
        (out / "run.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        report(out)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere holds no run"):
        report(tmp_path / "nowhere")
