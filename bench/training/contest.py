"""What games of generators share: players made from seeds, their optimisers, a look at what the generators make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.catalogue import Component
from bench.errors import ModelError
from bench.models.stacked import stack, unstack
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.common import Report, TrainingData
from bench.training.controls import STACKED
from bench.training.options import Optimiser
from bench.training.packs import shared_noise
from bench.training.together import Checkpoint, Fate, play

Rule = Callable[[list[nn.Parameter]], Optimizer]
"""Makes the optimiser of a player's parameters."""

POINTS, IMAGES = 2500, 64
"""Points, or images, that are kept of a generator at each look."""


BETA2 = 0.999
"""Adam's second decay rate where nobody says otherwise."""


def adam(learning_rate: float, beta1: float, beta2: float = BETA2) -> Rule:
    """Adam, in one kernel for all parameters."""

    def rule(parameters: list[nn.Parameter]) -> Optimizer:
        on_gpu = parameters[0].device.type == "cuda"
        return torch.optim.Adam(parameters, lr=learning_rate, betas=(beta1, beta2), fused=True, capturable=on_gpu)

    return rule


def rule_of(name: Optimiser, learning_rate: float, beta1: float = 0.9) -> Rule:
    """An optimiser by name; `beta1` is Adam's first decay rate, and the momentum of `sgd`."""

    def rule(parameters: list[nn.Parameter]) -> Optimizer:
        if name == "adagrad":
            return torch.optim.Adagrad(parameters, lr=learning_rate)
        if name == "rmsprop":
            on_gpu = parameters[0].device.type == "cuda"
            return torch.optim.RMSprop(parameters, lr=learning_rate, capturable=on_gpu)
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=beta1)

    return adam(learning_rate, beta1) if name == "adam" else rule


def recruit(make: Callable[[], nn.Module], name: str, seeds: Sequence[int], device: torch.device) -> nn.Module:
    """One network a seed, as a stack; each starts from its own seed and the player's name alone."""
    networks = []
    for seed in seeds:
        with forked_torch_seed(derive_seed(seed, name)):
            networks.append(make())
    return stack(networks).to(device)


class Contest(ABC):
    """Generators and their opponents; a game of `bench.training.together`.

    Args:
        generators: Stacks of one.
        others: The other players, stacks by name.
        rules: The optimiser of each player, the `generator` included.
        looked_at: Samples that a look takes of each generator.
    """

    steady = True
    """Whether every move does the same to other numbers, so that one can be recorded and replayed."""

    def __init__(
        self,
        generators: Sequence[nn.Module],
        others: Mapping[str, nn.Module],
        rules: Mapping[str, Rule],
        *,
        looked_at: int = POINTS,
    ) -> None:
        self.generator = stack(generators)
        self.players: Mapping[str, nn.Module] = {"generator": self.generator, **others}
        self.parameters = {name: list(player.parameters()) for name, player in self.players.items()}
        self.optimisers = {name: rules[name](parameters) for name, parameters in self.parameters.items()}
        device = self.parameters["generator"][0].device
        self._shared = shared_noise(looked_at, latent_size(generators), len(generators), device)
        for player in self.players.values():
            player.train()

    def prepare(self, iteration: int) -> None:  # noqa: B027 - to be overridden where there is something to set
        """Set what changes from one iteration to the next; most games have nothing of that kind."""

    @abstractmethod
    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """What an iteration needs that is random, from the networks' seeds and the iteration's number alone."""

    @abstractmethod
    def move(self, *drawn: Tensor) -> Mapping[str, Tensor]:
        """Make all the steps of an iteration; losses by name, each of shape (networks,)."""

    def look(self) -> Tensor:
        """Samples from noise that all generators share, shape (networks, samples, ...), by running statistics."""
        self.generator.eval()
        with torch.no_grad():
            samples: Tensor = self.generator(self._shared)[:, 0]
        self.generator.train()
        return samples

    def step(self, name: str, gradients: Iterable[Tensor]) -> None:
        """One step of a player along its gradients."""
        for parameter, gradient in zip(self.parameters[name], gradients, strict=True):
            parameter.grad = gradient
        self.optimisers[name].step()

    def descend(self, name: str, loss: Tensor) -> None:
        """One step of a player down its loss, shape (networks,)."""
        self.step(name, torch.autograd.grad(loss.sum(), self.parameters[name]))


def latent_size(generators: Sequence[nn.Module]) -> int:
    """Length of the generators' noise."""
    return int(generators[0].latent_size)  # type: ignore[arg-type]


def train_game(
    recipe: Component,
    options: Mapping[str, Any],
    generators: Sequence[nn.Module],
    data: TrainingData,
    *,
    seeds: Sequence[int],
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> list[Fate]:
    """Train generators by a recipe of the catalogue that makes a `Contest`.

    Args:
        recipe: Of the trait `together`.
        options: The recipe's, of which `iterations` says how many moves are made and `looks` how often what the
            generators make of a fixed input is kept; the contest gets the others.
        generators: Stacks of one; they get the trained weights.
        data: What they are to imitate.
        seeds: One a generator.
        report: Told the share that is done.
        checkpoint: Of as many generators, or empty; None to keep nothing.

    Returns:
        The fate of each generator.
    """
    given = recipe.options(**options).model_dump()
    iterations, looks = given.pop("iterations"), given.pop("looks")
    _check_shape(generators[0], data, recipe.name, fresh=given.get("fresh", False))
    game: Contest = recipe.load()(generators, data, seeds=seeds, **given)
    fates = play(game, len(generators), iterations, report=report, checkpoint=checkpoint, looks=looks)
    unstack(game.generator, generators)
    for generator in generators:
        generator.eval()
    return fates


def _check_shape(generator: nn.Module, data: TrainingData, recipe: str, *, fresh: bool) -> None:
    """Complain about a generator that draws other things than the data has, before anything is trained."""
    if not any(True for _ in generator.parameters()):
        raise ModelError(f"recipe '{recipe}' has nothing to train: the generator has no parameters")
    noise = torch.zeros(2, latent_size([generator]), device=data.x.device)
    with torch.no_grad():
        drawn = generator.eval()(noise)
    found = tuple(drawn.shape[1:]) if isinstance(drawn, Tensor) else type(drawn).__name__
    wanted = tuple(data.x.shape[1:])
    if fresh and wanted[0] == 1:
        wanted = (STACKED, *wanted[1:])
    if found != wanted:
        raise ModelError(f"the generator draws samples of shape {found}, the data it is trained on has {wanted}")
