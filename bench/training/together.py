"""Training several networks of one shape as one: the loop, its checkpoint, and networks that diverge."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.errors import ModelError
from bench.training.common import Report, TrainingLog

SAVED_EVERY = 60.0
"""Seconds between two checkpoints."""

LOOK = "look."
"""How the names begin of what a network made of a fixed input; the iteration follows."""

RANDOM = "random."
"""How the names begin of the states of torch's generators; the device's type follows."""

ENTRIES = 100
"""Entries of a training's log."""


class Checkpoint(Protocol):
    """Where the training of a stack of networks is kept until it has left its results."""

    def read(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]] | None:
        """Facts and tensors of the last one; None when there is none."""

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keep facts (as JSON) and tensors in place of the last ones."""


class Game(Protocol):
    """Stacks of networks that are trained against each other, or on their own."""

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """Stacks by name, each of as many networks."""

    @property
    def optimisers(self) -> Mapping[str, Optimizer]:
        """Their optimisers by name; state of a parameter's shape belongs to the networks, other state to all."""

    @property
    def steady(self) -> bool:
        """Whether every move does the same to other numbers, so that one can be recorded and replayed."""

    def prepare(self, iteration: int) -> None:
        """Set what changes from one iteration to the next, such as rates."""

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """What an iteration needs that is random, from the networks' seeds and the iteration's number alone."""

    def move(self, *drawn: Tensor) -> Mapping[str, Tensor]:
        """Make all the steps of an iteration; losses by name, each of shape (networks,)."""

    def look(self) -> Tensor:
        """What the networks make of a fixed input, the same in all of them; shape (networks, ...)."""


@dataclass
class Fate:
    """What became of one network.

    Attributes:
        log: Losses, `ENTRIES` entries.
        diverged: The iteration after which a weight was first found NaN or infinite; None for a sound network.
        looks: What the network made of a fixed input after some iterations, on the CPU.
    """

    log: TrainingLog = field(default_factory=TrainingLog)
    diverged: int | None = None
    looks: dict[int, Tensor] = field(default_factory=dict)


def play(
    game: Game,
    networks: int,
    iterations: int,
    *,
    report: Report,
    checkpoint: Checkpoint | None = None,
    looks: int = 0,
) -> list[Fate]:
    """Play a game to its end, or on from its checkpoint.

    A network that diverges is taken out: its weights are set to 0, so that nothing of it is computed on NaN any more,
    and its fate says when. The others are not touched.

    The end is kept too. The arithmetic of a stack depends on its size, so a result that is lost between the end and the
    last of the results could not be made again by fewer networks.

    Args:
        game: What is trained.
        networks: Networks in each stack.
        iterations: Iterations in all, those before the checkpoint included.
        report: Told the share that is done.
        checkpoint: Of as many networks, or empty; None to keep nothing.
        looks: How often to keep what the networks make of a fixed input, at equal distances, the last at the end.

    Returns:
        The fate of each network.
    """
    fates, start = resume(game, networks, checkpoint)
    every = max(1, iterations // ENTRIES)
    move = Captured(game.move) if game.steady and _device(game).type == "cuda" else game.move
    saved = time.monotonic()
    for iteration in range(start, iterations):
        game.prepare(iteration)
        losses = move(*game.draw(iteration))
        if (iteration + 1) % every == 0 or iteration + 1 == iterations:
            _take_out(game, fates, iteration + 1)
            for index, fate in enumerate(fates):
                if fate.diverged is None and (iteration + 1) % every == 0:
                    fate.log.add(**{name: value[index].item() for name, value in losses.items()})
            report((iteration + 1) / iterations)
        if looks and (iteration + 1) * looks // iterations > iteration * looks // iterations:
            for fate, seen in zip(fates, game.look().cpu(), strict=True):
                fate.looks[iteration + 1] = seen
        if checkpoint is not None and (iteration + 1 == iterations or time.monotonic() - saved > SAVED_EVERY):
            save(game, fates, iteration + 1, checkpoint)
            saved = time.monotonic()
    return fates


def _device(game: Game) -> torch.device:
    return next(next(iter(game.players.values())).parameters()).device


def _take_out(game: Game, fates: Sequence[Fate], iteration: int) -> None:
    """Set the weights of networks that have diverged to 0 in every player and optimiser."""
    tensors = [values for _, values in _tensors(game)]
    count = len(fates)
    sound = torch.stack([torch.isfinite(values).reshape(count, -1).all(1) for values in tensors]).all(0)
    for index, good in enumerate(sound.tolist()):
        if good:
            continue
        for values in tensors:
            _own(values, index, count).zero_()
        if fates[index].diverged is None:
            fates[index].diverged = iteration


def _tensors(game: Game) -> list[tuple[str, Tensor]]:
    """All that the networks consist of, named, each with the networks as its first dimension."""
    found: list[tuple[str, Tensor]] = []
    for name, player in game.players.items():
        found += [(f"{name}.{key}", values) for key, values in player.state_dict().items()]
    for name, optimiser in game.optimisers.items():
        for index, parameter in enumerate(_parameters(optimiser)):
            for key, values in optimiser.state[parameter].items():
                if isinstance(values, Tensor) and values.shape == parameter.shape:
                    found.append((f"optimiser.{name}.{index}.{key}", values))
    return found


def _parameters(optimiser: Optimizer) -> list[nn.Parameter]:
    return [each for group in optimiser.param_groups for each in group["params"]]


def _steps(optimiser: Optimizer) -> float:
    """The steps an optimiser has made, as it counts them itself; 0 where it does not count."""
    state = optimiser.state.get(_parameters(optimiser)[0], {})
    return float(state.get("step", 0))


def _own(values: Tensor, index: int, networks: int) -> Tensor:
    """One network's part of a stack; a network alone may have tensors that are no stack."""
    return values if networks == 1 else values[index : index + 1]


def save(game: Game, fates: Sequence[Fate], iteration: int, checkpoint: Checkpoint) -> None:
    """Write what the networks need to go on from here."""
    facts = {
        "iteration": iteration,
        "steps": {name: _steps(optimiser) for name, optimiser in game.optimisers.items()},
        "fates": [{"figures": fate.log.figures, "diverged": fate.diverged} for fate in fates],
    }
    looks = {f"{LOOK}{at}": torch.stack([fate.looks[at] for fate in fates]) for at in fates[0].looks}
    checkpoint.write(facts, {**dict(_tensors(game)), **_random_states(_device(game)), **looks})


def resume(game: Game, networks: int, checkpoint: Checkpoint | None) -> tuple[list[Fate], int]:
    """Put the game back to where its checkpoint is; the fates so far and the iteration."""
    found = None if checkpoint is None else checkpoint.read()
    if found is None:
        return [Fate() for _ in range(networks)], 0
    facts, tensors = found
    looks = {int(name.removeprefix(LOOK)): seen for name, seen in tensors.items() if name.startswith(LOOK)}
    fates = [
        Fate(TrainingLog(dict(each["figures"])), each["diverged"], {at: looks[at][index] for at in sorted(looks)})
        for index, each in zip(range(networks), facts["fates"], strict=True)
    ]
    game.prepare(facts["iteration"] - 1)  # SGD, for one, has no state before it has momentum
    for name, optimiser in game.optimisers.items():
        _make_state(optimiser, facts["steps"][name])
    places = _tensors(game)
    lost = {name for name in tensors if not name.startswith((LOOK, RANDOM))} - {name for name, _ in places}
    if lost:
        raise ModelError(f"a checkpoint holds {', '.join(sorted(lost))}, which nothing here takes; remove it")
    with torch.no_grad():
        for name, values in places:
            values.copy_(tensors[name])
    _put_back(tensors, _device(game))
    return fates, facts["iteration"]


def _random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that layers of the user's, such as dropout, may draw from."""
    states = {f"{RANDOM}cpu": torch.get_rng_state()}
    return states | {f"{RANDOM}cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def _put_back(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Let torch's generators go on from the states of a checkpoint."""
    torch.set_rng_state(tensors[f"{RANDOM}cpu"])
    if device.type == "cuda" and f"{RANDOM}cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"{RANDOM}cuda"], device)


def _make_state(optimiser: Optimizer, steps: float) -> None:
    """Let an optimiser make its state by a step that changes nothing, and set its count of steps."""
    parameters = _parameters(optimiser)
    kept = [each.detach().clone() for each in parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    with torch.no_grad():
        for parameter, values in zip(parameters, kept, strict=True):
            parameter.copy_(values)
            parameter.grad = None
            state = optimiser.state[parameter]
            if "step" in state:
                state["step"] = torch.full_like(state["step"], steps)


class Captured:
    """A game's moves as one CUDA graph: a few are made to warm up, one is recorded, the others are replayed."""

    WARM_UP = 3

    def __init__(self, move: Callable[..., Mapping[str, Tensor]]) -> None:
        self._move = move
        self._made = 0
        self._graph: Any = None
        self._inputs: tuple[Tensor, ...] = ()
        self._losses: Mapping[str, Tensor] = {}

    def __call__(self, *drawn: Tensor) -> Mapping[str, Tensor]:
        """Make one move."""
        self._made += 1
        if self._made <= self.WARM_UP:
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                losses = self._move(*drawn)
            torch.cuda.current_stream().wait_stream(aside)
            return losses
        if self._graph is None:
            self._inputs = tuple(each.clone() for each in drawn)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._losses = self._move(*self._inputs)
        for kept, new in zip(self._inputs, drawn, strict=True):
            kept.copy_(new)
        self._graph.replay()
        return self._losses
