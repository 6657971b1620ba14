"""What is compared, a function a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from memory import SHAPE, peak
from problems import Problem, from_zoo, unbreakable
from table import Table
from timing import Timed, forward_passes, gradient_passes, race, seconds
from tools import AUTOATTACK, MINIMAL, PGD, STEPS, Tool, our_curve, our_parts, ours, pgd_attack

SHARE = 5
"""The larger network gets a fifth of AutoAttack's iterations, which takes minutes instead of an hour."""


def published_passes(steps: int, queries: int) -> tuple[int, int]:
    """Forwards and backwards that the published parts take on an image that none of them breaks.

    Of APGD-CE, then APGD-T and FAB-T with nine targets each, then Square.

    >>> published_passes(100, 5000)
    (7852, 1910)
    """
    apgd, fab = 9 * (steps + 2) + 1, 9 * (2 * steps + 3) + 1
    return (steps + 2) + apgd + fab + (queries + 3), (steps + 1) + 9 * (steps + 1) + 9 * steps


@dataclass(frozen=True)
class Settings:
    """How much of it: images, rounds of the quick attacks, batch sizes to try."""

    images: int
    rounds: int
    sizes: Sequence[int]
    quick: bool


def autoattack(settings: Settings, table: Table) -> None:
    """AutoAttack standard on robust networks: as strong as pyautoattack in two thirds of its time."""
    # under l2 the seeds of either move it by more than the bound, so that it takes the mean of eight to see anything
    for name, norm, epsilon, seeds in (
        ("cnn-pgd", "linf", 0.3, 1), ("mlp-pgd", "linf", 0.3, 1), ("cnn-l2", "l2", 2.0, 1 if settings.quick else 8),
    ):  # fmt: skip
        with table.each("autoattack", name):
            problem = from_zoo(name, settings.images, epsilon, norm)
            found = race(_bound(AUTOATTACK, problem), settings.sizes, rounds=seeds)
            accuracy = _show("autoattack", problem, found, table)
            own, peer = found["bench"], found["pyautoattack"]
            gap = accuracy["bench"] - accuracy["pyautoattack"]
            table.claim(f"AutoAttack, {name}: robust accuracy above pyautoattack's", 100 * gap, 0.3, " points")
            table.claim(f"AutoAttack, {name}: time over pyautoattack's", own.seconds / peer.seconds, 1 / 1.5)


def passes(settings: Settings, table: Table) -> None:
    """AutoAttack on a larger network, with a fifth of its iterations, against their published passes, bare."""
    steps, queries = 100 // SHARE, 5000 // SHARE
    forwards, backwards = published_passes(steps, queries)
    with table.each("passes", "resnet-18"):
        problem = unbreakable(16)
        size = len(problem.x)

        def bare() -> float:
            """Half of the passes: as many before ours as after."""
            alone = seconds(lambda: forward_passes(problem, size, (forwards - backwards) // 2))
            return alone + seconds(lambda: gradient_passes(problem, size, backwards // 2))

        before = bare()
        own = seconds(lambda: our_parts(problem, size, steps, queries))
        least = before + bare()
        text = f"{forwards:,} forwards, {backwards:,} backwards"
        table.line("passes", problem.name, "bench", size, own, f"{size} images, a {SHARE}th of all iterations")
        table.line("passes", problem.name, "bare passes", size, least, text)
        table.claim("AutoAttack's parts, resnet-18: time over their bare published passes", own / least, 1.2)


def pgd(settings: Settings, table: Table) -> None:
    """PGD-40: a fifth of the fastest peer's time where it succeeds, little more than its gradients where it fails."""
    for name in ("cnn", "cnn-pgd"):
        with table.each("pgd", name):
            problem = from_zoo(name, settings.images, 0.3)
            contestants = {**_bound(PGD, problem), "bare passes": _bare_gradients(problem)}
            found = race(contestants, settings.sizes, settings.rounds)
            accuracy = _show("pgd", problem, found, table)
            fastest = min((tool for tool in PGD if tool != "bench"), key=lambda tool: found[tool].seconds)
            own = found["bench"].seconds
            text = f"PGD-40, {name}: time over the fastest peer's ({fastest})"
            table.claim(text, own / found[fastest].seconds, 0.2 if name == "cnn" else 1.0)
            gap = 100 * (accuracy["bench"] - accuracy[fastest])
            table.claim(f"PGD-40, {name}: robust accuracy above {fastest}'s", gap, 0.0, " points")
            if name == "cnn-pgd":
                ratio = own / found["bare passes"].seconds
                table.claim(f"PGD-40, {name}: time over forty bare gradients", ratio, 1.1)


def curves(settings: Settings, table: Table) -> None:
    """PGD-40 at eight radii for at most three times the gradients of the costliest one."""
    epsilons = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]
    size = max(settings.sizes)
    for name in ("cnn-pgd", "cnn"):
        with table.each("curve", name):
            problem = from_zoo(name, settings.images, epsilons[-1])
            separate, gradients, lasted = [], [], 0.0
            for epsilon in epsilons:
                one = problem.at(epsilon)
                kept = []
                lasted += seconds(lambda one=one, kept=kept: kept.append(ours(one, pgd_attack(one, seed=0), size)))
                separate.append(one.robust_accuracy(kept[0].x_adv))
                gradients.append(float(kept[0].backwards.sum()))
            together = []
            took = seconds(
                lambda problem=problem, together=together: together.append(our_curve(problem, epsilons, size))
            )
            examples, spent = together[0]
            shared = [
                problem.at(epsilon).robust_accuracy(part) for epsilon, part in zip(epsilons, examples, strict=True)
            ]
            table.line("curve", name, "eight runs", size, lasted, f"{sum(gradients):,.0f} gradients")
            table.line("curve", name, "costliest", size, float("nan"), f"{max(gradients):,.0f} gradients")
            table.line("curve", name, "one curve", size, took, f"{spent:,.0f} gradients")
            gap = max(abs(one - other) for one, other in zip(separate, shared, strict=True))
            table.claim(f"eight radii, {name}: gradients over those of the costliest", spent / max(gradients), 3.0)
            table.claim(f"eight radii, {name}: largest difference to separate runs", 100 * gap, 0.5, " points")


def minimal(settings: Settings, table: Table) -> None:
    """Attacks that look for the nearest example find nearer ones than foolbox's."""
    for name, tools in MINIMAL.items():
        with table.each("minimal", name):
            problem = from_zoo("cnn", min(settings.images, 200), float("inf"), "l2")
            contestants = {
                tool: lambda size, seed, _, run=run: run(size, seed, settings.quick)
                for tool, run in _bound(tools, problem).items()
            }
            found = race(contestants, [len(problem.x)], rounds=1)
            median = {tool: problem.median_distance(timed.results[0]) for tool, timed in found.items()}
            for tool, timed in found.items():
                table.line(name, "cnn", tool, timed.batch_size, timed.seconds, f"median l2 {median[tool]:.4f}")
            table.claim(f"{name} L2, cnn: median distance over foolbox's", median["bench"] / median["foolbox"], 1.0)


def memory(_: Settings, table: Table) -> None:
    """What ten thousand images need beyond what one thousand do: themselves and one adversarial copy."""
    few, many = 1000, 10000
    with table.each("memory", "cnn"):
        grown = peak(many) - peak(few)
        needed = 2 * (many - few) * 4 * torch.Size(SHAPE).numel()
        result = f"{grown / 2**20:.0f} MiB for {needed / 2**20:.0f} MiB of data"
        table.line("memory", "cnn 3x32x32", "bench", 250, float("nan"), result)
        table.claim(f"memory from {few} to {many} images over images and one copy", grown / needed, 1.2)


ROWS: dict[str, Callable[[Settings, Table], None]] = {
    "pgd": pgd,
    "curve": curves,
    "minimal": minimal,
    "memory": memory,
    "autoattack": autoattack,
    "passes": passes,
}


def _bound(tools: dict[str, Tool], problem: Problem) -> dict[str, Callable[[int, int, bool], torch.Tensor]]:
    return {name: partial(tool, problem) for name, tool in tools.items()}


def _bare_gradients(problem: Problem) -> Callable[[int, int, bool], torch.Tensor]:
    return lambda size, _, short: gradient_passes(problem, size, STEPS // 4 if short else STEPS)


def _show(row: str, problem: Problem, found: dict[str, Timed], table: Table) -> dict[str, float]:
    """Print what each tool did; its robust accuracy, mean over the rounds."""
    accuracy = {}
    for tool, timed in found.items():
        rates = [problem.robust_accuracy(examples) for examples in timed.results]
        accuracy[tool] = sum(rates) / len(rates)
        spread = f" ({min(rates):.1%} to {max(rates):.1%})" if max(rates) > min(rates) else ""
        result = f"robust accuracy {accuracy[tool]:.2%}{spread}" if tool != "bare passes" else ""
        table.line(row, problem.name, tool, timed.batch_size, timed.seconds, result)
    return accuracy
