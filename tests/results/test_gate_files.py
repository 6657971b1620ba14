"""Snapshots and baselines as files, and what a gate writes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.results import baselines, gate_reports
from bench.results.gating import gate
from bench.results.snapshot import Snapshot, pack, read, to_json, unpack
from tests.results.snapshots import ROW, run_of, snapshot


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, 0, 1]),
        np.array([0.25, -3, 1e-8]),
        np.array([1.0, np.nan, 0]),
        np.full(9, np.nan),
        np.empty(0),
    ],
    ids=str,
)
def test_values_survive(values: NDArray[np.float64]) -> None:
    assert unpack(pack(values)) == pytest.approx(values, rel=1e-7, nan_ok=True)


def test_a_thousand_outcomes_are_168_characters() -> None:
    assert len(pack(np.ones(1000)).split()[2]) == 168


def test_a_snapshot_survives(tmp_path: Path) -> None:
    whole = run_of([1, 0, math.nan], forwards=math.nan)
    (tmp_path / "b.json").write_text(to_json(whole))
    again = read(tmp_path / "b.json")
    assert to_json(again) == to_json(whole)
    assert again.ids(ROW) == ["mnist/0", "mnist/1", "mnist/2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 0}', "has schema 0, this version reads 4"),
        ("[]", "has schema None"),
        ("{", "cannot be read as a snapshot"),
        ('{"schema": 3}', "has schema 3, this version reads 4"),
        ('{"schema": 4}', "is no snapshot"),
    ],
)
def test_a_file_that_is_no_baseline(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "b.json")


def write(folder: Path, run: Snapshot) -> Path:
    folder.mkdir()
    (folder / "snapshot.json").write_text(to_json(run))
    return folder


def test_a_baseline_keeps_the_gated_rows_alone(tmp_path: Path) -> None:
    whole = run_of([1, 1])
    whole = replace(whole, rows={**whole.rows, "other": whole.rows[ROW]})
    baselines.write(write(tmp_path / "run", whole), tmp_path / "b.json")
    assert list(read(tmp_path / "b.json").rows) == [ROW]


def test_a_run_without_its_figures_makes_no_baseline(tmp_path: Path) -> None:
    bad = run_of([1, 1], status="failed", message="it broke", value=math.nan)
    bad = replace(bad, rows={ROW: replace(bad.rows[ROW], values=())})
    with pytest.raises(UsageError, match=r"1 of 1 gated rows have no figure.*it broke"):
        baselines.write(write(tmp_path / "run", bad), tmp_path / "b.json")


def test_a_suite_that_gates_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gates no rows"):
        baselines.write(write(tmp_path / "run", snapshot({})))


def test_no_baseline_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no baseline at baselines/robustness-cuda.json.*bench baseline"):
        baselines.judge(write(tmp_path / "run", run_of([1, 1])))


def test_a_baseline_of_another_suite(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(to_json(replace(run_of([1, 1]), suite="other")))
    with pytest.raises(UsageError, match="of the suite 'other'"):
        baselines.judge(write(tmp_path / "run", run_of([1, 1])), tmp_path / "b.json")


def test_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"<{index}>|" for index in range(30)]
    run = write(tmp_path / "run", run_of([0] * 20 + [1] * 10, names=names))
    (tmp_path / "b.json").write_text(to_json(run_of([1] * 30, names=names)))
    (tmp_path / "page.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    baselines.judge(run, tmp_path / "b.json")
    suite = Xml.parse(run / "gate.xml").getroot()  # noqa: S314 - our own
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("1", "1", "0")
    (failure,) = suite.iter("failure")
    assert failure.attrib["message"].startswith("regression: 20 of 30 lost")
    summary = (run / "gate.md").read_text()
    assert "| ❌ regression | `whitebox/cnn/worst-case/linf-0.3/robust_accuracy` | 1 | 0.3333 | 30 |" in summary
    assert "&lt;19>\\|" in summary
    assert (tmp_path / "page.md").read_text() == "before\n" + summary


def test_nothing_compared_is_an_error_for_a_ci_server() -> None:
    suite = Xml.fromstring(gate_reports.junit(gate(snapshot({}), snapshot({}))))  # noqa: S314 - our own
    assert (suite.attrib["errors"], suite.attrib["tests"]) == ("1", "1")


def test_what_no_xml_can_hold() -> None:
    found = gate(run_of([0] * 9, names=[f"\x00\ud800{index}" for index in range(9)]), run_of([1] * 9))
    Xml.fromstring(gate_reports.junit(found))  # noqa: S314 - our own
