"""Training several networks as one: each fares as it would alone, whatever the others do, and from any checkpoint."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import load_named
from bench.errors import ModelError
from bench.models.gans import GridGenerator, PackedDiscriminator
from bench.models.perceptrons import gan_images
from bench.randomness import derive_seed, forked_torch_seed
from bench.training import together
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.contest import train_game
from bench.training.packing import PackedGan
from bench.training.together import Fate

OPTIONS: dict[str, Any] = {
    "packing": 2, "iterations": 100, "batch_size": 20, "learning_rate": 1e-3, "beta1": 0.8, "width": 20, "looks": 0,
}  # fmt: skip


def generators(seeds: list[int]) -> list[GridGenerator]:
    made = []
    for seed in seeds:
        with forked_torch_seed(seed):
            made.append(GridGenerator(width=16, depth=2))
    return made


def points() -> TrainingData:
    return TrainingData(torch.from_numpy(load_named("ring8", samples=500).x))


def train(seeds: list[int], models: list[Any] | None = None, **options: Any) -> tuple[list[Any], list[Fate]]:
    models = generators(seeds) if models is None else models
    checkpoint = options.pop("checkpoint", None)
    given = {**OPTIONS, **options}
    fates = train_game(
        RECIPES["packed-gan"], given, models, points(), seeds=seeds, report=lambda _: None, checkpoint=checkpoint
    )
    return models, fates


def weights(model: nn.Module) -> Tensor:
    return torch.cat([values.flatten() for values in model.state_dict().values()])


def test_a_trial_in_a_batch_fares_as_it_does_alone() -> None:
    """Within rounding, which a hundred iterations let grow."""
    seeds = [11, 12, 13]
    several, fates = train(seeds)
    for index, seed in enumerate(seeds):
        (alone,), (fate,) = train([seed])
        for name, figures in fate.log.figures.items():
            assert fates[index].log.figures[name] == pytest.approx(figures, abs=2e-4)
        z = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(several[index](z), alone(z), atol=2e-3, rtol=1e-2)
    assert float((weights(several[0]) - weights(several[1])).abs().max()) > 0.01, "seeds differ"


def test_a_neighbour_that_diverges_changes_nothing() -> None:
    seeds = [11, 12, 13]
    sound, _ = train(seeds)
    models = generators(seeds)
    with torch.no_grad():
        models[1].layers[0].weight.fill_(torch.nan)
    mixed, fates = train(seeds, models)
    assert [fate.diverged for fate in fates] == [None, 1, None]
    for index in (0, 2):
        assert torch.equal(weights(mixed[index]), weights(sound[index]))
    assert not bool(weights(mixed[1]).any()), "what is left of it is 0, not NaN"


@pytest.mark.parametrize("seeds", [[11], [11, 12]])
@pytest.mark.parametrize("stopped_at", [1, 37, 99])
def test_training_goes_on_from_any_iteration(seeds, stopped_at, monkeypatch, kept) -> None:
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)
    whole, whole_fates = train(seeds, looks=4)
    written = kept()

    class Killed(Exception):
        pass

    moves, own = [0], PackedGan.move

    def move(self, *drawn):
        if moves[0] == stopped_at:
            raise Killed
        moves[0] += 1
        return own(self, *drawn)

    monkeypatch.setattr(PackedGan, "move", move)
    with pytest.raises(Killed):
        train(seeds, checkpoint=written, looks=4)
    monkeypatch.setattr(PackedGan, "move", own)
    assert written.last[0]["iteration"] == stopped_at
    resumed, fates = train(seeds, checkpoint=written, looks=4)
    for index in range(len(seeds)):
        assert torch.equal(weights(resumed[index]), weights(whole[index]))
        assert fates[index].log.figures == whole_fates[index].log.figures
        assert list(fates[index].looks) == [25, 50, 75, 100]
        assert all(torch.equal(fates[index].looks[at], seen) for at, seen in whole_fates[index].looks.items())


def test_checkpoints_are_written_now_and_then(monkeypatch, kept) -> None:
    checkpoint = kept()
    train([1], checkpoint=checkpoint)
    assert checkpoint.written == 1, "the end is kept, and a minute has not passed before it"
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)
    again = kept()
    train([1], checkpoint=again)
    assert again.written == 100


def test_an_end_that_was_kept_is_taken_as_it_is(monkeypatch, kept) -> None:
    checkpoint = kept()
    whole, whole_fates = train([1, 2], checkpoint=checkpoint, looks=2)
    monkeypatch.setattr(PackedGan, "move", lambda *_: pytest.fail("it had ended"))
    again, fates = train([1, 2], checkpoint=checkpoint, looks=2)
    assert checkpoint.written == 1
    for index in range(2):
        assert torch.equal(weights(again[index]), weights(whole[index]))
        assert fates[index].log.figures == whole_fates[index].log.figures
        assert all(torch.equal(fates[index].looks[at], whole_fates[index].looks[at]) for at in (50, 100))


def test_a_network_that_diverged_before_a_checkpoint_stays_out(monkeypatch, kept) -> None:
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)
    models, written = generators([11, 12, 13]), kept()
    with torch.no_grad():
        models[1].layers[0].weight.fill_(torch.nan)
    train([11, 12, 13], models, iterations=3, checkpoint=written)
    resumed, fates = train([11, 12, 13], iterations=10, checkpoint=written)
    sound, _ = train([11, 12, 13], iterations=10)
    assert [fate.diverged for fate in fates] == [None, 1, None]
    assert all(torch.equal(weights(resumed[index]), weights(sound[index])) for index in (0, 2))
    assert not bool(weights(resumed[1]).any())


class Dropping(nn.Module):
    """A user's generator with a layer that draws from torch's global generator."""

    latent_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)  # type: ignore[no-any-return]


def test_what_a_users_network_draws_goes_on_too(monkeypatch, kept) -> None:
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)

    def trained(iterations: int, checkpoint: Any = None) -> Tensor:
        with forked_torch_seed(3):
            model = Dropping()
            train([1], [model], iterations=iterations, checkpoint=checkpoint)
        return weights(model)

    whole, written = trained(6), kept()
    trained(3, written)
    assert torch.equal(trained(6, written), whole)


@pytest.mark.parametrize("packing", [1, 3])
def test_both_networks_step_from_the_same_parameters(packing: int) -> None:
    """One iteration, redone by hand: losses, packing, simultaneous Adam steps."""
    torch.manual_seed(0)
    data = TrainingData(torch.randn(40, 2))
    model, learning_rate = GridGenerator(width=8), 1e-2
    game = PackedGan([model], data, seeds=[5], packing=packing, batch_size=10, learning_rate=learning_rate)
    real, noise = game.draw(0)
    assert real.shape == (1, 10, 2 * packing)
    assert noise.shape == (1, packing, 10, 2)
    rows = (real.reshape(-1, 1, 2) == data.x).all(2)
    assert bool(rows.any(1).all()), "real packs are made of points of the data"
    with forked_torch_seed(derive_seed(5, "discriminator")):
        judge = PackedDiscriminator(packing=packing)
    generator = copy.deepcopy(model).train()
    fake = torch.cat([generator(noise[:, slot : slot + 1])[:, 0] for slot in range(packing)], 2)
    loss_g = F.softplus(-judge(fake)).mean()
    loss_d = F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean()
    wanted = {"generator": (generator, loss_g), "discriminator": (judge, loss_d)}
    before = {name: [each.clone() for each in network.parameters()] for name, (network, _) in wanted.items()}
    gradients = {
        name: torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        for name, (network, loss) in wanted.items()
    }
    losses = game.move(real, noise)
    torch.testing.assert_close(losses["generator"][0], loss_g.detach())
    torch.testing.assert_close(losses["discriminator"][0], loss_d.detach())
    for name, player in game.players.items():
        for old, new, gradient in zip(before[name], player.parameters(), gradients[name], strict=True):
            torch.testing.assert_close(new.grad, gradient, rtol=1e-4, atol=1e-7)
            # Adam's first step has length learning_rate along the gradient's sign
            expected = old - learning_rate * gradient / (gradient.abs() + 1e-8)
            big = gradient.abs() > 1e-6
            torch.testing.assert_close(new[big], expected[big], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_the_saturating_loss_is_minus_the_discriminators(updates: str) -> None:
    """Redone by hand; alternating, the generator's gradient goes through the discriminator that has moved."""
    torch.manual_seed(0)
    data, model = TrainingData(torch.randn(40, 2)), GridGenerator(width=8)
    given: dict[str, Any] = {"loss": "saturating", "updates": updates, "learning_rate": 1e-2}
    game = PackedGan([model], data, seeds=[5], packing=1, batch_size=10, **given)
    real, noise = game.draw(0)
    with forked_torch_seed(derive_seed(5, "discriminator")):
        judge = PackedDiscriminator(packing=1)
    generator = copy.deepcopy(model).train()
    fake = generator(noise)[:, 0]
    loss_d = F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean()
    towards = torch.autograd.grad(loss_d, list(judge.parameters()))
    step = torch.optim.Adam(judge.parameters(), lr=1e-2, betas=(0.8, 0.999))
    if updates == "simultaneous":
        loss_g = torch.log(1 - torch.sigmoid(judge(fake))).mean()
        wanted = torch.autograd.grad(loss_g, list(generator.parameters()))
    for parameter, gradient in zip(judge.parameters(), towards, strict=True):
        parameter.grad = gradient
    step.step()
    if updates == "alternating":
        loss_g = torch.log(1 - torch.sigmoid(judge(fake))).mean()
        wanted = torch.autograd.grad(loss_g, list(generator.parameters()))
    losses = game.move(real, noise)
    assert float(losses["generator"]) == pytest.approx(float(loss_g.detach()), abs=1e-6)
    assert float(losses["discriminator"]) == pytest.approx(float(loss_d.detach()), abs=1e-6)
    for parameter, gradient in zip(game.generator.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-7)


def test_images_are_refused() -> None:
    """By a generator of images: it draws what the data has, so that nothing before the recipe objects."""
    model, data = gan_images(shape=(1, 4, 4), latent=2, hidden=[8]), TrainingData(torch.rand(40, 1, 4, 4))
    said = r"`packed-gan` is trained on points; found samples of shape \(1, 4, 4\); `packed-images` takes images"
    with pytest.raises(ModelError, match=said):
        train_game(RECIPES["packed-gan"], OPTIONS, [model], data, seeds=[1], report=lambda _: None)


def test_each_epoch_has_every_pack_once() -> None:
    game = PackedGan(generators([1]), points(), seeds=[1], packing=1, batch_size=100, learning_rate=1e-4)
    epochs = [torch.cat([game.draw(index)[0][0] for index in range(5 * part, 5 * part + 5)]) for part in (0, 1)]
    assert not torch.equal(*epochs)
    assert torch.equal(*[epoch[epoch[:, 0].argsort()] for epoch in epochs])


def test_a_packed_gan_moves_towards_the_data() -> None:
    """Not a claim about modes, which take far longer: samples end nearer to the data than they began."""
    with forked_torch_seed(1):
        model = GridGenerator(width=64)
    _, (fate,) = train([0], [model], iterations=150, batch_size=50, learning_rate=2e-3, width=200, looks=1)
    radius = model(torch.randn(500, 2)).detach().norm(dim=1)
    assert float((radius - 1).abs().median()) < 0.6, "it was about 1 before training, when all points lie at the centre"
    assert fate.looks[150].shape == (2500, 2)
