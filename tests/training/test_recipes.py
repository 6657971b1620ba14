"""Recipes against what their papers say they do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.attacks.attack import create
from bench.data import load_named
from bench.models.autoencoders import kl_from_standard_normal, vae
from bench.models.classifiers import mlp, softmax
from bench.models.gans import GridGenerator, PackedDiscriminator
from bench.randomness import forked_torch_seed
from bench.training.autoencoding import autoencoding
from bench.training.classifying import adversarial, standard
from bench.training.common import TrainingData, batches


def silent(_: float) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    samples = load_named("mnist", split="train", take=3000)
    return TrainingData(torch.from_numpy(samples.inputs()), torch.from_numpy(samples.y))


def fresh(factory, **options) -> nn.Module:
    with forked_torch_seed(0):
        return factory(shape=(1, 28, 28), **options)


def test_standard_training_learns(digits: TrainingData) -> None:
    model = fresh(softmax, classes=10)
    shares: list[float] = []
    log = standard(model, digits, seed=0, report=shares.append, epochs=4, batch_size=50, learning_rate=3e-3)
    assert log.figures["accuracy"][-1] > 0.88
    assert log.figures["loss"] == sorted(log.figures["loss"], reverse=True)
    assert shares == sorted(shares)
    assert not model.training


def test_the_same_seed_gives_the_same_weights(digits: TrainingData) -> None:
    def trained(seed: int) -> Tensor:
        model = fresh(softmax, classes=10)
        torch.rand(3)  # what was drawn before must not matter
        standard(model, digits, seed=seed, report=silent, epochs=1, batch_size=100, learning_rate=1e-3)
        return model.head.weight.detach()

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_adversarial_training_buys_robustness(digits: TrainingData) -> None:
    def robust(train) -> float:
        model = fresh(mlp, classes=10, hidden=[64])
        train(model)
        x, y = digits.x[:500], digits.labels()[:500]
        attack = create("pgd", norm="linf", epsilon=0.1, steps=10)
        return 1 - float(attack(model.eval().requires_grad_(False), x, y).success.double().mean())

    common = {"seed": 0, "report": silent, "epochs": 6, "batch_size": 50, "learning_rate": 2e-3}
    threat = {"norm": "linf", "epsilon": 0.1, "steps": 5, "step_size": None, "warm_up": 0.3}
    plain = robust(lambda model: standard(model, digits, **common))
    hardened = robust(lambda model: adversarial(model, digits, **common, **threat))
    assert plain < 0.3
    assert hardened > plain + 0.3


def test_a_vae_lowers_its_bound_and_keeps_pixels_in_range(digits: TrainingData) -> None:
    model = fresh(vae, hidden=[64], latent=8)
    log = autoencoding(model, digits, seed=0, report=silent, epochs=3, batch_size=100, learning_rate=1e-3, beta=1.0)
    assert log.figures["loss"][-1] < log.figures["loss"][0] - 20
    images = model.decode(torch.randn(5, 8)).detach()
    assert images.shape == (5, 1, 28, 28)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1


def test_the_kl_term_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    p = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = torch.distributions.kl_divergence(q, p).sum(1)
    torch.testing.assert_close(kl_from_standard_normal(mean, log_variance), expected)


def test_batches_visit_every_sample_once_an_epoch() -> None:
    seen = [(epoch, index.tolist()) for epoch, index in batches(10, 4, epochs=2, seed=3)]
    assert [len(index) for _, index in seen] == [4, 4, 2] * 2
    first, second = ([row for epoch, index in seen for row in index if epoch == number] for number in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_parameter_counts_are_those_of_the_paper() -> None:
    """485k for the generator, 405k for the discriminator and about 2,000 more for each further slot."""

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert round(count(GridGenerator()) / 1000) == 485
    assert round(count(PackedDiscriminator()) / 1000) == 405
    assert count(PackedDiscriminator(packing=2)) - count(PackedDiscriminator()) == 2000
