"""Weights from files, by themselves and in a run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from bench.errors import ModelError, UsageError
from bench.models.weights import load_weights, read_weights

if TYPE_CHECKING:
    from tests.conftest import Workshop

STATE = {"weight": torch.arange(8.0).reshape(2, 4), "bias": torch.tensor([1.0, 2.0])}

SUITE = """
suite: weights
data:
  toy: {source: npz, path: toy.npz}
models:
  good: {kind: classifier, load: "toy:linear"}
  ours: {kind: classifier, load: "toy:linear", weights: WEIGHTS}
evaluations:
  wb: {kind: robustness, models: [good, ours], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
"""
CLEAN = "wb/ours/clean/none/accuracy"
GOOD = "wb/good/clean/none/accuracy"


class Evil:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.touched,)


def flipped_toy() -> dict[str, Tensor]:
    """Weights with which the toy model is wrong about every sample."""
    return {
        "weight": torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]),
        "bias": torch.tensor([-0.5, 0.5]),
    }


WAYS: dict[str, Callable[[dict[str, Tensor], Path], None]] = {
    "a.safetensors": lambda state, path: safetensors.torch.save_file(state, path),
    "a.pt": torch.save,
    "old.pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "state_dict.ckpt": lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path),
    "model_state_dict.pt": lambda state, path: torch.save({"model_state_dict": state}, path),
    "model.pt": lambda state, path: torch.save({"model": state, "optimizer": {"lr": 0.1}}, path),
}


@pytest.mark.parametrize("name", WAYS)
def test_forms_of_files(tmp_path: Path, name: str) -> None:
    WAYS[name](STATE, tmp_path / name)
    found = read_weights(tmp_path / name)
    assert set(found) == set(STATE)
    assert all((found[key] == STATE[key]).all() for key in STATE)


@pytest.mark.parametrize("name", ["a.safetensors", "state_dict.ckpt"])
def test_a_run_uses_them(toy: Workshop, name: str) -> None:
    WAYS[name](flipped_toy(), toy.folder / name)
    run = toy.run(SUITE.replace("WEIGHTS", name))
    assert run.exit_code == 0
    assert toy.rows(run)[CLEAN].value == 0
    assert toy.rows(run)[GOOD].value == 1


def test_architectures_of_ours_take_them_too(workshop: Workshop) -> None:
    """Weights that always say 7."""
    torch.save({"head.weight": torch.zeros(10, 784), "head.bias": 5 * torch.eye(10)[7]}, "seven.pt")
    run = workshop.run(
        """
        suite: ours
        data: {digits: {source: mnist, take: 20}}
        models: {seven: {kind: classifier, arch: softmax, weights: seven.pt}}
        evaluations:
          wb: {kind: robustness, models: [seven], data: digits, threat: {norm: l2, epsilon: 1}, attacks: [fgsm]}
        """
    )
    assert workshop.rows(run)["wb/seven/clean/none/accuracy"].value == pytest.approx(2 / 20)


def written(kind: str, folder: Path) -> str:
    """Make a file of weights that must be refused, and name it."""
    path = folder / f"{kind}.pt"
    state = dict(STATE)
    if kind == "shape":
        state["weight"] = torch.zeros(2, 5)
    elif kind == "names":
        state["scale"] = state.pop("bias")
    elif kind == "evil":
        path.write_bytes(pickle.dumps({"weight": Evil(folder / "touched")}, protocol=2))
        return path.name
    elif kind == "evil-in-zip":
        torch.save({**STATE, "extra": Evil(folder / "touched")}, path)
        return path.name
    elif kind == "whole-model":
        torch.save(nn.Linear(4, 2), path)
        return path.name
    elif kind == "mixed":
        torch.save({**STATE, "epoch": 3}, path)
        return path.name
    elif kind == "list":
        torch.save([STATE["weight"]], path)
        return path.name
    elif kind == "numbers":
        torch.save({0: STATE["weight"]}, path)
        return path.name
    elif kind == "folder":
        path.mkdir()
        return path.name
    if kind.endswith("safetensors"):
        path = folder / f"{kind}.safetensors"
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    content = path.read_bytes()
    if kind.startswith("cut"):
        path.write_bytes(content[: len(content) // 2])
    elif kind.startswith("text"):
        path.write_text("these are no weights")
    elif kind.startswith("empty"):
        path.write_bytes(b"")
    return path.name


BAD = {
    "shape": "'weight' has shape (2, 5), expected (2, 4)",
    "names": "1 are missing (bias) and 1 are not the model's (scale)",
    "evil": "pickled Python objects besides tensors, which could run code when loaded; it was refused",
    "evil-in-zip": "pickled Python objects besides tensors, which could run code when loaded; it was refused",
    "whole-model": "Save the weights alone: torch.save(model.state_dict(), path), or use safetensors",
    "mixed": "holds entries that are no tensors (epoch); expected a state dict",
    "list": "holds a list; expected a state dict: tensors by name",
    "numbers": "holds entries that are no tensors (0)",
    "folder": "expected weights at folder.pt, found no file",
    "cut": "cut.pt cannot be read as weights saved by torch.save, it may be cut short",
    "text": "text.pt cannot be read as weights",
    "empty": "empty.pt cannot be read as weights",
    "cut-safetensors": "cut-safetensors.safetensors cannot be read as a safetensors file, it may be cut short",
    "text-safetensors": "text-safetensors.safetensors cannot be read as a safetensors file",
    "empty-safetensors": "empty-safetensors.safetensors cannot be read as a safetensors file",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_costs_its_model_only(toy: Workshop, kind: str) -> None:
    run = toy.run(SUITE.replace("WEIGHTS", written(kind, toy.folder)))
    bad, good = toy.rows(run)[CLEAN], toy.rows(run)[GOOD]
    assert run.exit_code == 3
    assert bad.status == "failed"
    assert BAD[kind] in bad.message
    assert "\n" not in bad.message
    assert good.status == "ok"
    assert not (toy.folder / "touched").exists(), "code in a pickle was run"


@pytest.mark.parametrize("name", ["missing.pt", "x" * 300])
def test_missing_weights_are_told_before_anything_runs(toy: Workshop, name: str) -> None:
    with pytest.raises(UsageError, match=r"nothing was run: model '\w+': expected a file or folder at .*, found none"):
        toy.run(SUITE.replace("WEIGHTS", name))
    assert not (toy.folder / "out").exists()


def test_a_later_file_is_taken(toy: Workshop) -> None:
    """A failure is not remembered: what was missing may be there the next time."""
    (toy.folder / "a.pt").write_text("not yet")
    assert toy.run(SUITE.replace("WEIGHTS", "a.pt")).exit_code == 3
    torch.save(flipped_toy(), "a.pt")
    run = toy.run(SUITE.replace("WEIGHTS", "a.pt"))
    assert run.exit_code == 0
    assert toy.rows(run)[CLEAN].value == 0


def test_all_weights_or_none() -> None:
    model = nn.Linear(4, 2)
    before = model.weight.clone()
    with pytest.raises(ModelError):
        load_weights(model, {"weight": STATE["weight"], "bias": torch.zeros(3)}, "x")
    assert (model.weight == before).all()
