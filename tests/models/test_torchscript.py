"""Tensors of TorchScript programs, read without the program."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.errors import ModelError
from bench.models.torchscript import is_torchscript, read_torchscript
from bench.models.weights import read_weights


class Odd(nn.Module):
    """Tensors of several types, nested, shared, and as views of others; and a method that runs when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        base = torch.arange(24.0).reshape(4, 6)
        self.inner = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.register_buffer("column", base[1:, 2])
        self.register_buffer("turned", base.T)
        self.register_buffer("counts", torch.tensor([3, -1]))
        self.register_buffer("flag", torch.tensor(True))
        self.weight = nn.Parameter(torch.randn(2, 2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "odd.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; files of it are there
        torch.jit.save(torch.jit.script(Odd()), path)  # type: ignore[no-untyped-call]
    return path


def test_all_tensors_as_the_program_has_them(saved: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.jit.load(saved).state_dict()  # type: ignore[no-untyped-call]
    found = read_weights(saved)
    assert set(found) == set(expected)
    assert "inner.1.num_batches_tracked" in found
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def test_what_torch_saves_is_none(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("nothing")
    assert not is_torchscript(tmp_path / "state.pt")
    assert not is_torchscript(tmp_path / "text.pt")
    assert not is_torchscript(tmp_path / "missing.pt")


def test_code_in_it_is_refused(saved: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "touched",)

    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["odd/data.pkl"] = pickle.dumps(Evil(), protocol=2)
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(pickle.UnpicklingError, match="which is no module, tensor or plain value"):
        read_torchscript(tmp_path / "evil.pt")
    with pytest.raises(ModelError, match="could run code when loaded; it was refused"):
        read_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "touched").exists()


def test_one_whose_tensors_are_gone(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if "/data/" not in name}
    with zipfile.ZipFile(tmp_path / "hollow.pt", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match=r"hollow\.pt cannot be read as weights"):
        read_weights(tmp_path / "hollow.pt")
