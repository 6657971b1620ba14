"""Timing that is fair on a noisy machine: each contestant at its own best batch size, in turns, the fastest of each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from problems import Problem
from torch import Tensor


class Clock:
    """What tells the time: the wall's, or for machines that others use too this process's seconds on the CPU."""

    now: Callable[[], float] = staticmethod(time.perf_counter)


@dataclass(frozen=True)
class Timed:
    """What a contestant did: the batch size it was best at, the seconds of its fastest run, what each run returned."""

    batch_size: int
    seconds: float
    results: list[Tensor]


def seconds(action: Callable[[], object]) -> float:
    gc.collect()
    started = Clock.now()
    action()
    return Clock.now() - started


def best_batch_size(run: Callable[[int], object], sizes: Sequence[int]) -> int:
    """The batch size a short run is fastest at, each tried twice."""
    if len(sizes) == 1:
        return sizes[0]
    run(sizes[-1])  # the first call of all allocates and compiles
    tries = [{size: seconds(lambda size=size: run(size)) for size in sizes} for _ in range(2)]
    return min(sizes, key=lambda size: min(attempt[size] for attempt in tries))


def race(
    contestants: Mapping[str, Callable[[int, int, bool], Tensor]], sizes: Sequence[int], rounds: int
) -> dict[str, Timed]:
    """Time contestants, called with (batch size, seed, short), in turns; each round has a seed and another first."""
    chosen = {
        name: best_batch_size(lambda size, run=run: run(size, 0, True), sizes) for name, run in contestants.items()
    }
    took: dict[str, list[float]] = {name: [] for name in contestants}
    results: dict[str, list[Tensor]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            started = Clock.now()
            found = contestants[name](chosen[name], turn, False)
            took[name].append(Clock.now() - started)
            results[name].append(found)
    return {name: Timed(chosen[name], min(took[name]), results[name]) for name in names}


def gradient_passes(problem: Problem, batch_size: int, times: int) -> Tensor:
    """So many bare passes forwards and backwards to the input over all images, and nothing else."""
    for x, y in zip(problem.x.split(batch_size), problem.y.split(batch_size), strict=True):
        point = x.detach().requires_grad_()
        for _ in range(times):
            loss = F.cross_entropy(problem.model(point), y, reduction="sum")
            torch.autograd.grad(loss, point)
    return problem.x


def forward_passes(problem: Problem, batch_size: int, times: int) -> Tensor:
    """So many bare passes forwards over all images, and nothing else."""
    with torch.inference_mode():
        for x in problem.x.split(batch_size):
            for _ in range(times):
                problem.model(x)
    return problem.x
