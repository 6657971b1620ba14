"""What the square attack changes: squares under linf, pyramids under l2, for all samples at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

from bench.attacks.draws import Draws
from bench.attacks.square_l2 import opposites, take_over, tiles
from bench.attacks.threat import Threat, per_sample

BLOCK = 50
"""Moves whose random numbers are drawn together: enough to hide what a call costs, few enough to stay in a cache."""


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
