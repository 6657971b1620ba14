"""Training on noisy images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.models.classifiers import mlp
from bench.randomness import forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.descending import sgd
from bench.training.noise_control import noise_control

SHORT = {"epochs": 2, "batch_size": 20, "learning_rate": 0.2}


def data() -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    return TrainingData(torch.rand(60, 1, 4, 4, generator=generator), torch.arange(60) % 3)


class Watching(nn.Module):
    """A small classifier that remembers what it saw while training."""

    def __init__(self) -> None:
        super().__init__()
        with forked_torch_seed(0):
            self.net = mlp(shape=(1, 4, 4), classes=3, hidden=[8])
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.net(x)


def trained(recipe, name: str, **given) -> Watching:
    model = Watching()
    recipe(model, data(), seed=0, report=lambda _: None, **RECIPES[name].options(**given).model_dump())
    return model


def test_noise_of_no_size_is_plain_descent() -> None:
    plain, control = trained(sgd, "sgd", **SHORT), trained(noise_control, "noise-control", epsilon=1e-12, **SHORT)
    for one, other in zip(plain.parameters(), control.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("law", ["sign", "uniform"])
def test_what_the_network_sees(law: str) -> None:
    plain, control = (
        trained(sgd, "sgd", **SHORT),
        trained(noise_control, "noise-control", law=law, epsilon=0.1, **SHORT),
    )
    moved = torch.cat([noisy - clean for noisy, clean in zip(control.seen, plain.seen, strict=True)])
    inside = torch.cat([(clean > 0.1) & (clean < 0.9) for clean in plain.seen])
    size = moved[inside].abs()
    assert float(size.max()) <= 0.1 + 1e-6
    assert abs(float(moved[inside].mean())) < 0.01
    assert float(size.mean()) == pytest.approx(0.1 if law == "sign" else 0.05, rel=0.05)
    first, second = moved[:60], moved[60:]
    assert not torch.equal(first, second), "new noise every epoch"
