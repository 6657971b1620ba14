"""The square attack: random search with squares, which needs the model's scores and no gradient."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import Best, pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.square_moves import BLOCK, Pyramids, Squares, close_gaps, find_gaps, image_shape
from bench.attacks.threat import Threat

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Moves, of 10,000, after which the squares' share of the image is halved."""

RESTART = 1_000_000
"""Streams of random numbers that a restart has for itself."""


def square(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    queries: int = 5000,
    restarts: int = 1,
    share: float = 0.8,
    rescale: bool = True,
) -> Tensor:
    """Change one randomly placed square after another, keeping the changes that raise the margin.

    Squares shrink along a schedule. Under ``linf`` each takes its pixels to the ball's edge, with one sign a channel;
    under ``l2`` it takes over another one's perturbation. Each sample has squares of its own, and leaves when it has
    reached its goal.

    Images are (n, channels, height, width). Inputs (n, d) are searched as rows of d pixels, (n, height, width) as
    images of one channel; dimensions between the channels and the last count as rows. Where an image is narrower
    than a square, a rectangle of the same area takes its place.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to reach; its margin is what is raised, for both.
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample.
        queries: Forward passes a restart at the most; the clean inputs take one more.
        restarts: Starts a sample at the most.
        share: Share of the image that the first squares change, in (0, 1].
        rescale: Stretch the schedule, made for 10,000 queries, to `queries`. Without it, more queries never do worse.

    Returns:
        For each sample the point of largest margin in the search, or the clean input where that has reached the goal
        by itself; shape of `x`.

    Source: Andriushchenko, Croce, Flammarion, Hein 2020, algorithms 1 to 3; the start, the schedule and that a square
    which would change nothing gets the other sign are as in the released code.

    >>> model = lambda x: torch.stack([x.mean(1), 1 - x.mean(1)], 1)
    >>> threat, draws = Threat("linf", 0.2), Draws(torch.tensor([7]))
    >>> square(model, torch.full((1, 4), 0.6), Goal(torch.tensor([0])), threat=threat, draws=draws, queries=50)
    tensor([[0.4000, 0.4000, 0.4000, 0.4000]])
    """
    best = Best(x)
    with torch.inference_mode():
        rows = (~(goal.margin(model(x)) > 0)).nonzero().squeeze(1)
        shares = [share_at(step, queries, share, rescale) for step in range(queries - 1)]
        windows = [window(each, *image_shape(x)[1:], odd=threat.norm == "l2") for each in shares]
        for restart in range(restarts if threat.epsilon > 0 else 0):
            if len(rows) == 0:
                break
            rows = _search(model, x, goal, rows, best, windows, threat=threat, draws=draws, stream=restart * RESTART)
    return best.points


def _search(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    rows: Tensor,
    best: Best,
    windows: list[tuple[int, int]],
    *,
    threat: Threat,
    draws: Draws,
    stream: int,
) -> Tensor:
    """One restart for the samples of `rows`, noted in `best`; returns the rows that have not reached their goal."""
    part, aim = of_rows(model, rows), goal.rows(rows)
    moves = (Squares if threat.norm == "linf" else Pyramids)(x[rows], threat, draws.rows(rows), stream)
    margin = aim.margin(part(moves.inputs()))
    every, size = pace(x.device), None
    for step in range(len(windows)):
        if step % BLOCK == 0:
            moves.deal(draws.rows(rows), stream + 1 + step // BLOCK, windows[step : step + BLOCK])
        if step % every == 0 and float(margin.max()) > 0:
            done = margin > 0
            best.put(rows[done], moves.inputs()[done], margin[done])
            gaps = find_gaps(done)
            rows, margin = close_gaps(rows, *gaps), close_gaps(margin, *gaps)
            if len(rows) == 0:
                return rows
            moves.close(*gaps)
            part, aim = of_rows(model, rows), goal.rows(rows)
        if windows[step] != size:
            size = windows[step]
            moves.resize(*size)
        moves.move(step % BLOCK)
        found = aim.margin(part(moves.inputs()))
        moves.settle(found > margin)
        margin = torch.maximum(margin, found)
    best.put(rows, moves.inputs(), margin)
    return rows[~(margin > 0)]


def share_at(step: int, queries: int, share: float, rescale: bool) -> float:
    """The share of the image that a square covers after `step` others: `share`, halved at each of `HALVINGS`.

    >>> [share_at(step, 5000, 0.8, False) for step in (10, 11, 51)]
    [0.8, 0.4, 0.2]
    >>> [share_at(step, 5000, 0.8, True) for step in (5, 6, 26)]
    [0.8, 0.4, 0.2]
    """
    return share * 0.5 ** bisect_left(HALVINGS, step * 10_000 // queries if rescale else step)


def window(share: float, height: int, width: int, *, odd: bool) -> tuple[int, int]:
    """Height and width of the square that covers a share of an image, or of a rectangle where the image is narrower.

    Args:
        share: Share of the image, in (0, 1].
        height: Rows of the image.
        width: Columns of the image.
        odd: Take odd sides of at least 3, as far as they fit.

    >>> window(0.2, 28, 28, odd=False), window(0.2, 28, 28, odd=True), window(0.2, 1, 784, odd=False)
    ((13, 13), (13, 13), (1, 157))
    """

    def whole(length: float) -> int:
        return max(3, round(length) // 2 * 2 + 1) if odd else max(1, round(length))

    area = share * height * width
    side = whole(math.sqrt(area))
    if side > height:
        return height, min(width, whole(area / height))
    if side > width:
        return min(height, whole(area / width)), width
    return side, side
