"""The square attack: random search with squares, which needs the model's scores and no gradient."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import Tensor
from torch.linalg import vector_norm

from bench.attacks.ascent import Best, pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.square_l2 import opposites, take_over, tiles
from bench.attacks.threat import Threat, per_sample

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Moves, of 10,000, after which the squares' share of the image is halved."""

BLOCK = 50
"""Moves whose random numbers are drawn together: enough to hide what a call costs, few enough to stay in a cache."""

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


def image_shape(x: Tensor) -> tuple[int, int, int]:
    """Channels, height and width that inputs (n, ...) are searched as.

    >>> image_shape(torch.zeros(2, 5)), image_shape(torch.zeros(2, 4, 5)), image_shape(torch.zeros(2, 3, 4, 4, 5))
    ((1, 1, 5), (1, 4, 5), (3, 16, 5))
    """
    channels = x.shape[1] if x.ndim > 3 else 1
    return channels, x[0].numel() // (channels * x.shape[-1]), x.shape[-1]


def find_gaps(done: Tensor) -> tuple[Tensor, Tensor, int]:
    """How to move up when samples leave: rows to fill, rows to fill them with, and the number of rows that stay.

    >>> find_gaps(torch.tensor([True, False, True, False]))
    (tensor([0]), tensor([3]), 2)
    """
    left = int((~done).sum())
    return done[:left].nonzero().squeeze(1), (~done[left:]).nonzero().squeeze(1) + left, left


def close_gaps(values: Tensor, holes: Tensor, fillers: Tensor, left: int) -> Tensor:
    """The rows of `values` that stay, shape (left, ...): only those that fill a hole are copied."""
    values[holes] = values[fillers]
    return values[:left]


class Squares:
    """Squares at the edge of the linf ball, for all samples at once.

    A move overwrites no more than its windows, and is undone where it is not accepted.

    Args:
        x: Clean inputs, shape (n, ...).
        threat: Ball and box.
        draws: One seed a sample.
        stream: Where the start's random numbers come from.

    Attributes:
        origin: Clean inputs, shape (n, pixels).
        point: Where the search is, shape (n, pixels).
        places: First pixels of the windows of each move of a block, shape (moves, n, windows), int64.
        contents: What each move of a block puts there, shape (moves, n, channels).
        pixels: The pixels of a window whose first is 0, in all channels, shape (k,), int64.
    """

    windows = 1
    """Windows that a move changes."""

    choices = 0
    """Random numbers a move needs besides those for its places and signs."""

    contents: Tensor

    def __init__(self, x: Tensor, threat: Threat, draws: Draws, stream: int) -> None:
        self.shape, self.threat, self._input_shape = image_shape(x), threat, x.shape[1:]
        images = x.reshape(-1, *self.shape)
        self.origin, self.point = images.flatten(1), self.start(images, draws, stream).flatten(1)
        self._writes: list[tuple[Tensor, Tensor, Tensor]] = []

    def start(self, images: Tensor, draws: Draws, stream: int) -> Tensor:
        """Vertical stripes one pixel wide, each with a sign for each channel."""
        channels, _, width = self.shape
        signs = torch.where(draws.uniform((channels, 1, width), stream) < 0.5, -1.0, 1.0).to(images)
        return self.threat.project(images + self.threat.epsilon * signs, images)

    def inputs(self) -> Tensor:
        """The points in the shape that the model takes."""
        return self.point.view(-1, *self._input_shape)

    def deal(self, draws: Draws, stream: int, sizes: list[tuple[int, int]]) -> None:
        """Draw what the next moves do, at most `BLOCK` of them, whose windows have these heights and widths."""
        channels, height, width = self.shape
        numbers = draws.uniform((BLOCK, 2 * self.windows + self.choices + channels), stream)[:, : len(sizes)]
        # a move's numbers side by side, since it is made for all samples at once
        numbers = numbers.transpose(0, 1).contiguous()
        corners = numbers[..., : 2 * self.windows].reshape(*numbers.shape[:2], self.windows, 2)
        room = torch.tensor([(height - tall + 1, width - wide + 1) for tall, wide in sizes], device=numbers.device)
        top, left = (corners * room[:, None, None]).long().unbind(3)
        self.places = top * width + left
        self.contents = self.choose(numbers[..., 2 * self.windows :])

    def choose(self, numbers: Tensor) -> Tensor:
        """What moves add to their windows' pixels, from numbers of shape (moves, n, choices + channels)."""
        return torch.where(numbers < 0.5, -1.0, 1.0).to(self.point) * self.threat.epsilon

    def resize(self, tall: int, wide: int) -> None:
        """Have windows of this size from now on."""
        channels, height, width = self.shape
        plane, down, across = (torch.arange(each, device=self.point.device) for each in (channels, tall, wide))
        self.pixels = (plane[:, None, None] * height * width + down[:, None] * width + across).flatten()

    def move(self, turn: int) -> None:
        """Make a move of the block."""
        index = self.places[turn] + self.pixels
        old, clean = self.point.gather(1, index), self.by_channel(self.origin.gather(1, index))
        shift = self.contents[turn][..., None]
        idle = vector_norm(self.in_box(clean + shift).view_as(old) - old, dim=1) == 0
        new = self.in_box(clean + torch.where(per_sample(idle, shift), -shift, shift)).view_as(old)
        self.point.scatter_(1, index, new)
        self._writes = [(index, new, old)]

    def settle(self, accepted: Tensor) -> None:
        """Undo the last move where it is not accepted; shape (n,)."""
        weight = accepted.to(self.point.dtype)[:, None]
        for index, new, old in self._writes:
            # exact at 0 and 1, and several times faster than torch.where
            self.point.scatter_(1, index, torch.lerp(old, new, weight))

    def close(self, holes: Tensor, fillers: Tensor, left: int) -> None:
        """Move up after samples left, as `find_gaps` says."""
        self.origin, self.point = (close_gaps(each, holes, fillers, left) for each in (self.origin, self.point))
        self.places, self.contents = (
            close_gaps(each.transpose(0, 1), holes, fillers, left).transpose(0, 1)
            for each in (self.places, self.contents)
        )

    def by_channel(self, values: Tensor) -> Tensor:
        """Values of windows, shape (n, k), as (n, channels, k / channels)."""
        return values.view(len(values), self.shape[0], -1)

    def in_box(self, values: Tensor) -> Tensor:
        """Values clipped to the box, in place."""
        return values.clamp_(self.threat.low, self.threat.high)


class Pyramids(Squares):
    """Windows in the l2 ball that take over each other's perturbation, for all samples at once.

    Attributes:
        unused: Squared radius less the squared length of the perturbation, shape (n, 1, 1).
        bumps: What a move can add: two kinds, then their negatives, shape (4, pixels of a window).
    """

    windows = 2
    choices = 1

    def start(self, images: Tensor, draws: Draws, stream: int) -> Tensor:
        """A grid of pyramids."""
        return tiles(images, self.threat, draws, stream)

    def deal(self, draws: Draws, stream: int, sizes: list[tuple[int, int]]) -> None:
        """Draw what the next moves do; measure what the ball has left, so that rounding errors do not add up."""
        super().deal(draws, stream, sizes)
        used = (self.point - self.origin).square().sum(1)
        self.unused = per_sample(self.threat.epsilon**2 - used, self.by_channel(self.point))

    def choose(self, numbers: Tensor) -> Tensor:
        """Which bumps moves add, from numbers of shape (moves, n, 1 + channels)."""
        return (2 * numbers[..., :1]).long() + 2 * (numbers[..., 1:] < 0.5)

    def resize(self, tall: int, wide: int) -> None:
        """Have windows of this size from now on."""
        super().resize(tall, wide)
        kinds = opposites(tall, wide).to(self.point)
        self.bumps = torch.cat([kinds, -kinds])

    def move(self, turn: int) -> None:
        """Make a move of the block."""
        taker, giver = (self.places[turn][:, each : each + 1] + self.pixels for each in (0, 1))
        old, clean = self.point.gather(1, taker), self.origin.gather(1, taker)
        # emptied before the giver is read, so that what lies in both counts once
        self.point.scatter_(1, taker, clean)
        given, emptied = self.point.gather(1, giver), self.origin.gather(1, giver)
        first, second = self.by_channel(old - clean), self.by_channel(given - emptied)
        bumps = self.bumps.index_select(0, self.contents[turn].flatten()).view_as(first)
        taken, whole = take_over(first, second, bumps, self.unused)
        new = self.in_box(clean + taken.view_as(clean))
        self.point.scatter_(1, giver, emptied).scatter_(1, taker, new)
        self._writes = [(giver, emptied, given), (taker, new, old)]
        kept = vector_norm(self.by_channel(new - clean), dim=2, keepdim=True)
        self._unused_then = (whole - kept.square()).sum(1, keepdim=True)

    def settle(self, accepted: Tensor) -> None:
        """Undo the last move where it is not accepted; shape (n,)."""
        super().settle(accepted)
        self.unused = torch.where(per_sample(accepted, self.unused), self._unused_then, self.unused)

    def close(self, holes: Tensor, fillers: Tensor, left: int) -> None:
        """Move up after samples left, as `find_gaps` says."""
        super().close(holes, fillers, left)
        self.unused = close_gaps(self.unused, holes, fillers, left)
