"""Which device a run uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.engine import devices
from bench.engine.devices import choose_device
from bench.errors import UsageError

if TYPE_CHECKING:
    from tests.conftest import Workshop


@pytest.mark.parametrize(
    ("found", "build", "wanted", "chosen"),
    [
        ([], None, "auto", "cpu"),
        ([], "12.8", "auto", "cpu"),
        (["H200"], None, "auto", "cpu"),
        (["H200"], "12.8", "auto", "cuda"),
        (["H200"], "12.8", "cuda", "cuda"),
        (["H200"], "12.8", "cpu", "cpu"),
    ],
)
def test_choice(monkeypatch: pytest.MonkeyPatch, found: list[str], build: str | None, wanted: str, chosen: str) -> None:
    monkeypatch.setattr(devices, "cuda_devices", lambda: found)
    monkeypatch.setattr(devices, "torch_cuda_build", lambda: build)
    assert choose_device(wanted) == chosen


@pytest.mark.parametrize(
    ("found", "build", "wanted", "message"),
    [
        ([], "12.8", "cuda", "--device cuda was asked for, but no CUDA device or driver was found; use --device cpu"),
        (["H200"], None, "cuda", "the installed torch is built without CUDA; use --device cpu, or see `bench doctor`"),
        ([], None, "gpu", "expected --device auto, cpu or cuda, found 'gpu'"),
        ([], None, "", "expected --device auto, cpu or cuda, found ''"),
    ],
)
def test_refusals(
    monkeypatch: pytest.MonkeyPatch, found: list[str], build: str | None, wanted: str, message: str
) -> None:
    monkeypatch.setattr(devices, "cuda_devices", lambda: found)
    monkeypatch.setattr(devices, "torch_cuda_build", lambda: build)
    with pytest.raises(UsageError, match=message):
        choose_device(wanted)


def test_a_run_does_not_start_without_its_device(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_devices", list)
    with pytest.raises(UsageError, match="no CUDA device or driver was found"):
        toy.run(device="cuda")
    assert not (toy.folder / "out").exists()


def test_the_build_is_read_from_torch_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert devices.torch_cuda_build() == torch.version.cuda
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert devices.torch_cuda_build() is None
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('this must not be imported')")
    (tmp_path / "torch" / "version.py").write_text("cuda: Optional[str] = '12.8'\n")
    assert devices.torch_cuda_build() == "12.8"
