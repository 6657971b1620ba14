"""GANs other than PacGAN: one iteration of each, redone by hand or against a closed form."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data import load_named
from bench.models.conditional import ConditionalGenerator
from bench.models.perceptrons import Perceptron, PerceptronGenerator, gan_images, gan_points
from bench.models.stacked import Linear
from bench.randomness import forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.conditional import ConditionalGan
from bench.training.contest import adam, rule_of, train_game
from bench.training.inference import Ali, Veegan
from bench.training.plain import PlainGan
from bench.training.unrolling import UnrolledGan
from bench.training.wasserstein import WassersteinGan


@pytest.fixture
def points() -> TrainingData:
    return TrainingData(torch.randn(60, 2, generator=torch.Generator().manual_seed(0)))


def generator(**options: Any) -> PerceptronGenerator:
    given: dict[str, Any] = {"latent": 3, "width": 8, "depth": 1, "activation": "tanh", "initial": "glorot", **options}
    with forked_torch_seed(4):
        return gan_points(**given)


def gradients(loss: Tensor, network: torch.nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))


def had(network: torch.nn.Module) -> list[Tensor]:
    """The gradients of a network's last step."""
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("initial", ["he", "glorot", "orthogonal"])
def test_first_weights_follow_their_law(initial) -> None:
    with forked_torch_seed(1):
        weight = Perceptron([400, 300], activation="relu", initial=initial).layers[0].weight.detach()[0]
    deviation = {"he": (2 / 400) ** 0.5, "glorot": (2 / 700) ** 0.5, "orthogonal": 1.4 / 400**0.5}[initial]
    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    if initial == "orthogonal":
        torch.testing.assert_close(weight.T @ weight, 1.96 * torch.eye(300), atol=1e-4, rtol=0)


def test_images_of_the_small_gan_lie_in_the_unit_interval() -> None:
    model = gan_images(shape=(1, 28, 28), latent=20, hidden=[128])
    images = model(torch.randn(5, 20)).detach()
    assert images.shape == (5, 1, 28, 28)
    assert 0 < float(images.min()) < float(images.max()) < 1
    assert sum(each.numel() for each in model.parameters()) == 21 * 128 + 129 * 784


def test_the_discriminator_of_a_plain_gan_steps_first(points) -> None:
    """Adagrad's first step has the learning rate's length wherever there is a gradient."""
    game = PlainGan(
        [generator()], points, seeds=[1], batch_size=10, optimiser="adagrad", learning_rate=0.1, beta1=0.9,
        width=8, depth=1, activation="leaky-relu", initial="glorot", loss="non-saturating", updates="alternating",
    )  # fmt: skip
    real, noise = game.draw(0)
    maker, judge = copy.deepcopy(game.generator), copy.deepcopy(game.discriminator)
    fake = maker(noise)[:, 0]
    towards = gradients(F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean(), judge)
    with torch.no_grad():
        for parameter, gradient in zip(judge.parameters(), towards, strict=True):
            parameter -= 0.1 * gradient.sign()
    wanted = gradients(-torch.log(torch.sigmoid(judge(fake))).mean(), maker)
    game.move(real, noise)
    for mine, expected in zip(game.discriminator.parameters(), judge.parameters(), strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=0)
    for mine, expected in zip(had(game.generator), wanted, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-3)


def test_a_critics_weights_stay_within_their_bound(points) -> None:
    game = WassersteinGan(
        [generator()], points, seeds=[1, ], batch_size=10, rule=rule_of("rmsprop", 0.1), critic_steps=2, width=8,
        depth=1, clip=0.01,
    )  # fmt: skip
    assert max(float(each.abs().max()) for each in game.critic.parameters()) > 0.1
    game.move(*game.draw(0))
    assert max(float(each.detach().abs().max()) for each in game.critic.parameters()) == pytest.approx(0.01)


def test_the_penalty_of_a_linear_critic(points) -> None:
    """Its gradient is its weights everywhere: the loss is w (mean made - mean real) + penalty (|w| - 1)^2."""
    game = WassersteinGan(
        [generator()], points, seeds=[1], batch_size=10, rule=adam(1e-3, 0.5), critic_steps=3, width=1, depth=0,
        penalty=7.0,
    )  # fmt: skip
    real, noise, between = game.draw(0)
    assert real.shape == (1, 10, 4, 2)
    assert noise.shape == (1, 4, 10, 3)
    assert between.shape == (1, 3, 10, 1)
    fake = game.generator(noise[:, :1])[:, 0].detach()
    weight = torch.tensor([3.0, 4.0])
    with torch.no_grad():
        game.parameters["critic"][0].copy_(weight[None, :, None])
    loss = game.critic_loss(real[:, :, 0], fake, between[:, 0])
    expected = (fake[0].mean(0) - real[0, :, 0].mean(0)) @ weight + 7.0 * (5 - 1) ** 2
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    (slope,) = torch.autograd.grad(loss.sum(), game.parameters["critic"][:1])
    of_penalty = 2 * 7.0 * (5 - 1) * weight / 5
    torch.testing.assert_close(slope[0, :, 0], fake[0].mean(0) - real[0, :, 0].mean(0) + of_penalty)


def test_points_in_between_lie_on_lines_from_made_to_real(points, monkeypatch) -> None:
    game = WassersteinGan(
        [generator()], points, seeds=[1], batch_size=10, rule=adam(1e-3, 0.5), critic_steps=1, width=4, depth=1,
        penalty=1.0,
    )  # fmt: skip
    seen: list[Tensor] = []
    game.critic.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    real, fake = torch.ones(1, 10, 2), torch.zeros(1, 10, 2)
    share = torch.linspace(0, 1, 10)[None, :, None]
    game.critic_loss(real, fake, share)
    torch.testing.assert_close(seen[-1], share.expand(1, 10, 2))


@pytest.mark.parametrize("unrolled", [0, 1, 4])
def test_a_generator_foresees_the_discriminators_adam_steps(unrolled: int) -> None:
    """Against torch's own Adam, by a difference quotient in float64, in the third iteration."""
    torch.set_default_dtype(torch.float64)
    try:
        data = TrainingData(torch.randn(60, 2))
        game = UnrolledGan(
            [generator()], data, seeds=[1], batch_size=12, generator_rate=1e-2, discriminator_rate=1e-2, beta1=0.5,
            unrolled=unrolled, width=6, depth=1,
        )  # fmt: skip
        real, noise = (each.double() for each in game.draw(0))
        for _ in range(2):
            game.move(real, noise)
        maker, judge = copy.deepcopy(game.generator), copy.deepcopy(game.discriminator)
        kept = copy.deepcopy(game.optimisers["discriminator"].state_dict())

        def foreseen(shift: float, direction: list[Tensor]) -> float:
            made, seen = copy.deepcopy(maker), copy.deepcopy(judge)
            with torch.no_grad():
                for parameter, along in zip(made.parameters(), direction, strict=True):
                    parameter += shift * along
            rule = torch.optim.Adam(seen.parameters(), lr=1e-2, betas=(0.5, 0.999))
            rule.load_state_dict(copy.deepcopy(kept))  # or its steps would change what is kept
            fake = made(noise)[:, 0].detach()
            for _ in range(unrolled):
                rule.zero_grad()
                (F.softplus(-seen(real)).mean() + F.softplus(seen(fake)).mean()).backward()
                rule.step()
            return -float((F.softplus(-seen(real)).mean() + F.softplus(seen(fake)).mean()).detach())

        direction = [torch.randn_like(parameter) for parameter in maker.parameters()]
        quotient = (foreseen(1e-6, direction) - foreseen(-1e-6, direction)) / 2e-6
        losses = game.move(real, noise)
        assert float(losses["generator"]) == pytest.approx(foreseen(0.0, direction), abs=1e-9)
        slope = sum(float((a * b).sum()) for a, b in zip(had(game.generator), direction, strict=True))
        assert slope == pytest.approx(quotient, rel=1e-4)
        towards = gradients(F.softplus(-judge(real)).mean() + F.softplus(judge(maker(noise)[:, 0])).mean(), judge)
        for mine, expected in zip(had(game.discriminator), towards, strict=True):
            torch.testing.assert_close(mine, expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_ali_and_veegan_by_their_losses(points) -> None:
    """Both encoders and generators, at the parameters from before the step."""
    for kind in (Ali, Veegan):
        inputs = 5 if kind is Ali else 2
        game = kind(
            [generator()], points, seeds=[1], batch_size=10, rule=adam(1e-3, 0.5),
            encoder=lambda inputs=inputs: Perceptron([inputs, 8, 3], activation="tanh", initial="glorot"),
            judge=lambda: _Judge(),
        )  # fmt: skip
        real, codes, noise = game.draw(0)
        assert (real.shape, codes.shape, noise.shape) == ((1, 10, 2), (1, 10, 3), (1, 10, 3))
        maker, encoder, judge = (copy.deepcopy(each) for each in game.players.values())
        made = maker(codes[:, None])[:, 0]
        seen = encoder(torch.cat([real, noise], 2) if kind is Ali else real)
        on_real, on_made = judge(torch.cat([real, seen], 2)), judge(torch.cat([made, codes], 2))
        loss_d = -F.logsigmoid(on_real).mean() - F.logsigmoid(-on_made).mean()
        if kind is Ali:
            loss_g = loss_e = -F.logsigmoid(-on_real).mean() - F.logsigmoid(on_made).mean()
        else:
            lost = (encoder(made) - codes).pow(2).sum(2).mean()
            loss_g, loss_e = lost - on_made.mean(), lost + on_real.mean()
        wanted = [gradients(loss_g, maker), gradients(loss_e, encoder), gradients(loss_d, judge)]
        losses = game.move(real, codes, noise)
        for name, expected in (("generator", loss_g), ("encoder", loss_e), ("discriminator", loss_d)):
            assert float(losses[name]) == pytest.approx(float(expected.detach()), abs=1e-6)
        for player, expected_all in zip(game.players.values(), wanted, strict=True):
            for mine, expected in zip(had(player), expected_all, strict=True):
                torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-4)


class _Judge(torch.nn.Module):
    """A discriminator of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Perceptron([5, 8, 1], activation="tanh", initial="glorot")

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(-1)


def conditional(dropout: float) -> ConditionalGan:
    with forked_torch_seed(2):
        model = ConditionalGenerator(latent=20)
    labels = torch.arange(50) % 10
    data = TrainingData(torch.rand(50, 1, 28, 28) * 0.1 + labels[:, None, None, None] / 20, labels)
    return ConditionalGan(
        [model], data, seeds=[1], batch_size=25, learning_rate=0.1, decay=1.5, last_rate=0.02, momentum=0.5,
        final_momentum=0.7, momentum_iterations=10, dropout=dropout, max_column_norm=None,
    )  # fmt: skip


def test_a_conditional_gan_is_told_the_class_of_each_image() -> None:
    game = conditional(0.0)
    real, classes, noise, keep = game.draw(0)
    labels = classes.argmax(2)
    assert bool((classes.sum(2) == 1).all())
    assert bool((((real.mean(2) - 0.05) * 20).round() == labels).all()), "an image's class is its own"
    assert bool((keep == 1).all())
    asked = noise[0, 0, :, -10:].argmax(1)
    maker, judge = copy.deepcopy(game.generator), copy.deepcopy(game.discriminator)
    assert torch.equal(maker.classes_of(noise)[0, 0].argmax(1), asked)
    fake, ones = maker(noise)[:, 0].flatten(2), torch.ones(1, 25, 240)
    told = F.one_hot(asked, 10).float()[None]
    loss_d = F.softplus(-judge(real, classes, ones)).mean() + F.softplus(judge(fake, told, ones)).mean()
    losses = game.move(real, classes, noise, keep)
    assert float(losses["discriminator"]) == pytest.approx(float(loss_d.detach()), abs=1e-5)


def test_a_conditional_gan_is_sound_with_its_defaults_and_its_weights_bounded() -> None:
    """At the paper's rate of 0.1 the discriminator wins within a hundred iterations, or the weights overflow."""
    loaded = load_named("mnist", split="test", take=500)
    data = TrainingData(torch.from_numpy(loaded.inputs()), torch.from_numpy(loaded.y))
    with forked_torch_seed(2):
        model = ConditionalGenerator()
    given = {"iterations": 120, "batch_size": 50, "max_column_norm": 1.5}
    (fate,) = train_game(RECIPES["conditional-gan"], given, [model], data, seeds=[3], report=lambda _: None)
    assert fate.diverged is None
    assert max(fate.log.figures["generator"]) < 20
    lengths = [layer.weight.detach().norm(dim=1).max() for layer in model.modules() if isinstance(layer, Linear)]
    assert float(max(lengths)) <= 1.5 + 1e-5


def test_a_conditional_gans_rate_falls_and_its_momentum_grows() -> None:
    game = conditional(0.5)
    found = []
    for iteration in (0, 1, 5, 10):
        game.prepare(iteration)
        (group,) = game.optimisers["generator"].param_groups
        found.append((group["lr"], group["momentum"]))
    assert found == [pytest.approx(pair) for pair in ((0.1, 0.5), (0.1 / 1.5, 0.52), (0.02, 0.6), (0.02, 0.7))]
    game.prepare(100_000)
    assert game.optimisers["generator"].param_groups[0]["lr"] == 0.02, "however long it goes on"


def test_dropout_keeps_the_mean_and_half_of_the_units() -> None:
    keep = conditional(0.5).draw(3)[3]
    assert keep.shape == (1, 25, 1200 + 3 * 240)
    assert set(keep.unique().tolist()) == {0.0, 2.0}
    assert float(keep.mean()) == pytest.approx(1, abs=0.05)


def test_the_class_asked_for_changes_the_image_and_all_are_asked_for() -> None:
    with forked_torch_seed(2):
        model = ConditionalGenerator(latent=20)
    z = torch.randn(1000, 30, generator=torch.Generator().manual_seed(0))
    counts = model.classes_of(z).sum(0)
    assert float((counts - 100).abs().max()) < 40
    other = z.clone()
    other[:, -10:] = z[:, -10:].roll(1, 1)
    assert float((model(z) - model(other)).detach().abs().mean()) > 0
    same = z.clone()
    same[:, -10:] *= 2
    assert torch.equal(model(z), model(same)), "which number is largest is all that they say"


@pytest.mark.parametrize(("labels", "said"), [(None, "labelled data"), (torch.full((50,), 10), "labels go to 10")])
def test_data_a_conditional_gan_cannot_learn_from_is_refused(labels, said: str) -> None:
    data = TrainingData(torch.rand(50, 1, 28, 28), labels)
    given: dict[str, Any] = {
        "decay": 1.0,
        "last_rate": 0.1,
        "momentum": 0.5,
        "final_momentum": 0.7,
        "dropout": 0.0,
        "max_column_norm": None,
    }
    with pytest.raises(ValueError, match=said):
        ConditionalGan(
            [ConditionalGenerator(latent=20)],
            data,
            seeds=[1],
            batch_size=5,
            learning_rate=0.1,
            momentum_iterations=1,
            **given,
        )


def test_another_generator_is_refused_by_the_conditional_gan() -> None:
    data = TrainingData(torch.rand(50, 2), torch.arange(50) % 10)
    given: dict[str, Any] = {
        "decay": 1.0,
        "last_rate": 0.1,
        "momentum": 0.5,
        "final_momentum": 0.7,
        "dropout": 0.0,
        "max_column_norm": None,
    }
    with pytest.raises(ValueError, match="expected a `gan-conditional` generator, found a PerceptronGenerator"):
        ConditionalGan([generator()], data, seeds=[1], batch_size=5, learning_rate=0.1, momentum_iterations=1, **given)
