"""Batches and models that an attack must refuse, each in a sentence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.errors import AttackError, BenchError, ModelError, NoGradientError

X, Y = torch.full((2, 4), 0.5), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": torch.zeros(2, 4, dtype=torch.uint8)}, "expected images as floats in [0, 1], found torch.uint8"),
        ({"x": torch.zeros(2, 4, dtype=torch.int64)}, "expected images as floats in [0, 1], found torch.int64"),
        (
            {"x": torch.full((2, 4), 0.5).half()},
            "expected images in float32 or float64, found torch.float16, too coarse",
        ),
        ({"x": torch.zeros(0, 4), "y": torch.zeros(0, dtype=torch.int64)}, "found an empty batch"),
        ({"x": torch.full((2, 4), 1.5)}, "expected inputs in [0, 1], found [1.5, 1.5]; normalisation belongs inside"),
        ({"x": torch.full((2, 4), torch.nan)}, "expected inputs in [0, 1], found [nan, nan]"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, "expected labels of shape (2,), int64, found (3,)"),
        ({"y": torch.zeros(2)}, "expected labels of shape (2,), int64, found (2,), torch.float32"),
        ({"y": torch.tensor([0, -1])}, "expected labels from 0 on, found -1"),
        ({"targets": torch.tensor([0, 1])}, "1 targets equal the label; expected other classes"),
        ({"targets": torch.tensor([1])}, "expected targets of shape (2,), int64, found (1,)"),
        ({"targets": torch.tensor([1, -3])}, "expected targets from 0 on, found -3"),
    ],
)
def test_wrong_batches(change, sentence, linear) -> None:
    given = {"x": X, "y": Y, "targets": None, **change}
    with pytest.raises(AttackError) as caught:
        create("fgsm", norm="linf", epsilon=0.1)(linear(4, 3, 0), given["x"], given["y"], targets=given["targets"])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("model", "y", "sentence"),
    [
        (lambda x: x.to("meta"), Y, "the model answers on meta for inputs on cpu; expected it to stay on its input's"),
        (lambda x: x, torch.tensor([0, 4]), "the model returns 4 classes, but the data has labels up to 4"),
        (lambda x: x.sum(1), Y, "expected the model to return logits of shape (16, classes), found (16,)"),
        (lambda x: x / 0, Y, "the model returned NaN or infinite logits for 16 of 16 inputs"),
        (lambda x: x.detach(), Y, "the model gives no gradient"),
    ],
)
def test_wrong_models(model, y, sentence, monkeypatch) -> None:
    monkeypatch.setattr("bench.attacks.padding.least_rows", lambda _: 16)
    for name in ("fgsm", "pgd", "apgd-t", "ddn"):
        norm = "l2" if name == "ddn" else "linf"
        with pytest.raises(ModelError) as caught:
            create(name, norm=norm, epsilon=0.1)(model, X, y)
        assert sentence in str(caught.value)


def test_probabilities_are_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    attack = create("pgd", norm="linf", epsilon=0.1, steps=2)
    attack(lambda x: x.softmax(1), torch.rand(2, 4), Y)
    assert "the model returns probabilities" in str(recwarn.pop(UserWarning).message)
    # logarithms of probabilities and large outputs are logits
    for model in (lambda x: x.softmax(1).log(), lambda x: x * 100):
        attack(model, torch.rand(2, 4), Y)
    assert len(recwarn) == 0


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd-t", "autoattack"])
def test_a_model_without_a_gradient(name: str) -> None:
    """AutoAttack's last part needs none, and breaks what a gradient attack cannot begin with."""
    attack = create(name, norm="linf", epsilon=0.3)
    x, y = torch.full((4, 4), 0.5), torch.zeros(4, dtype=torch.int64)
    model = lambda x: torch.stack([x[:, 0], torch.full_like(x[:, 0], 0.45)], 1).detach()  # noqa: E731
    if name == "autoattack":
        assert attack(model, x, y).success.all()
        return
    with pytest.raises(NoGradientError, match="the model gives no gradient"):
        attack(model, x, y)


def test_a_model_in_training_mode_is_refused(linear) -> None:
    with pytest.raises(AttackError, match=r"training mode; call model\.eval\(\)"):
        create("fgsm", norm="linf", epsilon=0.1)(linear(4, 3, 0).train(), torch.zeros(2, 4), Y)


@pytest.mark.parametrize(
    ("name", "norm", "epsilon", "sentence"),
    [
        ("ddn", "linf", 0.1, "'ddn' does not work under linf; it takes l2"),
        ("pgd", "l1", 0.1, "'pgd' does not work under l1; it takes linf, l2"),
        ("pgd", "linf", math.inf, "'pgd' needs a finite epsilon, found inf"),
        ("pgd", "linf", math.nan, "expected an epsilon of at least 0, found nan"),
        ("pgd", "linf", -1, "expected an epsilon of at least 0, found -1"),
        ("pdg", "linf", 0.1, "unknown attack 'pdg'; did you mean 'pgd'?"),
    ],
)
def test_attacks_that_cannot_be(name, norm, epsilon, sentence) -> None:
    with pytest.raises(BenchError) as caught:
        create(name, norm=norm, epsilon=epsilon)
    assert sentence in str(caught.value)


def test_an_attack_of_a_user_that_returns_something_else(tmp_path, monkeypatch) -> None:
    (tmp_path / "odd_attack.py").write_text("def odd(model, x, goal, *, threat, draws): return x[:1]\n")
    monkeypatch.syspath_prepend(tmp_path)

    def model(x: Tensor) -> Tensor:
        return x

    with pytest.raises(AttackError, match=r"'odd_attack:odd' returned \(1, 4\); expected a tensor of shape \(2, 4\)"):
        create("odd_attack:odd", norm="linf", epsilon=0.1)(model, X, Y)
