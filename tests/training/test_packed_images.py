"""Packed convolutional GANs: one iteration redone by hand, networks side by side, the papers' shapes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import ModelError
from bench.models.dcgan import Generator, dcgan_small, dcgan_stacked
from bench.models.gans import GridGenerator
from bench.randomness import derive_seed, forked_torch_seed
from bench.training import together
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.contest import train_game
from bench.training.packed_images import PackedImages, discriminator

OPTIONS: dict[str, Any] = {
    "packing": 2, "iterations": 4, "batch_size": 8, "generator_rate": 1e-3, "discriminator_rate": 2e-3, "beta1": 0.5,
    "beta2": 0.99, "generator_steps": 2, "judge": "small", "width": 2, "signed": True, "reshuffle": True, "looks": 0,
}  # fmt: skip


def images() -> TrainingData:
    return TrainingData(torch.rand(40, 3, 28, 28, generator=torch.Generator().manual_seed(0)))


def generators(seeds: list[int]) -> list[Generator]:
    made = []
    for seed in seeds:
        with forked_torch_seed(seed):
            made.append(dcgan_small(latent=16, unit=False))
    return made


def train(seeds: list[int], **options: Any) -> tuple[list[Generator], Any]:
    models = generators(seeds)
    checkpoint, given = options.pop("checkpoint", None), {**OPTIONS, **options}
    recipe = RECIPES["packed-images"]
    fates = train_game(recipe, given, models, images(), seeds=seeds, report=lambda _: None, checkpoint=checkpoint)
    return models, fates


def test_the_networks_are_the_papers() -> None:
    large = dcgan_stacked(latent=100, width=64, unit=False)
    sizes = [tuple(each.weight.shape[1:]) for each in large.layers if hasattr(each, "crop")]
    assert sizes == [(512, 256, 5, 5), (256, 128, 5, 5), (128, 64, 5, 5), (64, 3, 5, 5)]
    assert large(torch.randn(4, 100)).shape == (4, 3, 28, 28)
    small = dcgan_small(latent=256, unit=True)
    assert small.eval()(torch.randn(4, 256)).shape == (4, 3, 28, 28)
    judge = discriminator("large", inputs=6, size=28, width=64)
    assert judge(torch.randn(1, 2, 5, 6, 28, 28)).shape == (1, 2, 5)
    assert judge.layers[-1].weight.shape == (1, 2 * 2 * 512, 1)
    for packing in (1, 4):
        own = discriminator("small", inputs=3 * packing, size=28, width=2)
        assert [each.weight.shape[1] for each in own.layers if hasattr(each, "padding")] == [2, 4, 8]


def test_images_lie_where_they_should() -> None:
    model, z = dcgan_small(latent=16, unit=True), torch.randn(1, 1, 64, 16)
    with torch.no_grad():
        model.layers[-2].bias.fill_(-3.0)
    with torch.no_grad():
        assert float(model.train()(z).min()) < -0.9
        assert float(model.eval()(z).min()) >= 0
    raw = dcgan_stacked(latent=8, width=2, unit=False)
    assert raw.law == "uniform"


def test_uniform_noise_is_uniform() -> None:
    seen: list[Tensor] = []
    model = dcgan_stacked(latent=50, width=1, unit=False)
    model.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.randn(400, 50, generator=torch.Generator().manual_seed(0)))
    values = seen[0].flatten().sort().values
    expected = torch.linspace(-1, 1, len(values))
    assert float((values - expected).abs().max()) < 0.02


def test_an_iteration_is_one_step_of_the_discriminator_and_two_of_the_generator() -> None:
    (model,) = generators([5])
    game = PackedImages(
        [model], images(), seeds=[5], packing=2, batch_size=8, generator_rate=1e-3,
        discriminator_rate=2e-3, beta1=0.5, beta2=0.99,
        generator_steps=2, judge="small", width=2, signed=True, reshuffle=True,
    )  # fmt: skip
    real, noise = game.draw(0)
    assert real.shape == (1, 8, 6, 28, 28)
    assert float(real.min()) < -0.9, "shown in [-1, 1]"
    with forked_torch_seed(derive_seed(5, "discriminator")):
        judge = discriminator("small", inputs=6, size=28, width=2).train()
    generator = copy.deepcopy(model).train()
    step_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.99))
    step_d = torch.optim.Adam(judge.parameters(), lr=2e-3, betas=(0.5, 0.99))

    def packed() -> Tensor:
        made = generator(noise)
        return torch.cat([made[:, 0], made[:, 1]], 2)

    def score(packs: Tensor) -> Tensor:
        return judge(packs[:, None])[0, 0]

    loss_d = F.softplus(-score(real)).mean() + F.softplus(score(packed().detach())).mean()
    step_d.zero_grad()
    loss_d.backward()
    step_d.step()
    for _ in range(2):
        loss_g = F.softplus(-score(packed())).mean()
        step_g.zero_grad()
        loss_g.backward()
        step_g.step()
    losses = game.move(real, noise)
    assert float(losses["discriminator"]) == pytest.approx(loss_d.item(), abs=1e-5)
    assert float(losses["generator"]) == pytest.approx(loss_g.item(), abs=1e-5)
    for mine, theirs in ((game.generator, generator), (game.discriminator, judge)):
        weights = [name for name, _ in mine.named_parameters() if name.endswith(("weight", "scale"))]
        for name in weights:
            own, expected = mine.get_parameter(name), theirs.get_parameter(name)
            # Adam turns the rounding of gradients near 0, such as those of biases before batch norm, into whole steps
            assert float(((own - expected).abs() > 2e-4).float().mean()) < 0.02


def test_trials_side_by_side_fare_as_alone() -> None:
    several, fates = train([1, 2], iterations=10)
    (alone,), (fate,) = train([2], iterations=10)
    assert fates[1].log.figures["generator"] == pytest.approx(fate.log.figures["generator"], abs=2e-3)
    z = torch.randn(20, 16)
    assert float((several[1](z) - alone(z)).abs().mean()) < 5e-3
    assert float((several[0](z) - alone(z)).abs().mean()) > 5e-3


def test_training_goes_on_where_a_player_makes_several_steps(monkeypatch, kept) -> None:
    """Adam's corrections of its start depend on the steps a player made, not on the iterations."""
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)
    (whole,), (fate,) = train([1], iterations=6)
    checkpoint = kept()
    train([1], iterations=3, checkpoint=checkpoint)
    (resumed,), (again,) = train([1], iterations=6, checkpoint=checkpoint)
    assert torch.equal(resumed.project.weight, whole.project.weight)
    assert again.log.figures == fate.log.figures


def test_fresh_images_are_made_of_three_digits_each() -> None:
    digits = torch.arange(5.0)[:, None, None, None].expand(5, 1, 28, 28) / 10
    game = PackedImages(
        generators([3, 4]), TrainingData(digits), seeds=[3, 4], packing=2, batch_size=200, generator_rate=1e-3,
        discriminator_rate=1e-3, beta1=0.5, beta2=0.99, generator_steps=1, judge="small",
        width=2, signed=False, reshuffle=True, fresh=True,
    )  # fmt: skip
    real, noise = game.draw(0)
    assert real.shape == (2, 200, 6, 28, 28)
    assert noise.shape == (2, 2, 200, 16)
    told = (real[..., 0, 0] * 10).round().long()
    assert bool((real == told[..., None, None] / 10).all()), "a channel is one digit"
    share = torch.stack([(told == digit).float().mean((1, 2)) for digit in range(5)])
    assert float((share - 0.2).abs().max()) < 0.05
    pairs = {tuple(row) for row in told[0, :, [0, 5]].tolist()}
    assert len(pairs) == 25, "channels are drawn one by one"
    assert not torch.equal(game.draw(1)[0], real)
    assert not torch.equal(real[0], real[1])
    assert torch.equal(game.draw(0)[0], real)


def test_packs_keep_their_order_where_nobody_asks_for_another() -> None:
    given = {"seeds": [1], "packing": 1, "batch_size": 20, "generator_rate": 1e-3, "discriminator_rate": 1e-3}
    rest = {"beta1": 0.5, "beta2": 0.99, "generator_steps": 1, "judge": "small", "width": 2, "signed": False}
    kept = PackedImages(generators([1]), images(), **given, **rest, reshuffle=False)
    mixed = PackedImages(generators([1]), images(), **given, **rest, reshuffle=True)
    assert torch.equal(kept.draw(0)[0], kept.draw(2)[0])
    assert not torch.equal(mixed.draw(0)[0], mixed.draw(2)[0])


def test_points_are_refused() -> None:
    """By a generator of points: it draws what the data has, so that nothing before the recipe objects."""
    data = TrainingData(torch.randn(40, 2))
    with pytest.raises(ModelError, match=r"`packed-images` is trained on images; found samples of shape \(2,\)"):
        train_game(RECIPES["packed-images"], OPTIONS, [GridGenerator(width=8)], data, seeds=[1], report=lambda _: None)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 41 packs is more than the 40 samples there are"):
        train([1], batch_size=41)
