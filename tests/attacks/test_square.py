"""The square attack: its schedule, its windows, its search, and what it costs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.square import share_at, square, window
from bench.attacks.square_l2 import opposites, pyramid, take_over
from bench.attacks.square_moves import Pyramids, Squares, close_gaps, find_gaps, image_shape
from bench.attacks.threat import Threat, sizes

BIG = 1e6  # a box so wide that it never binds
EPSILON = {"linf": 0.1, "l2": 0.4}
both_norms = pytest.mark.parametrize("norm", ["linf", "l2"])
every_shape = pytest.mark.parametrize("shape", [(1, 6, 6), (3, 8, 8), (2, 4, 9), (2, 9, 4), (7,), (5, 6), (2, 3, 2, 4)])


def seeds(count: int) -> Draws:
    return Draws(torch.arange(count) * 7919 + 3)


def flat_model(x: Tensor) -> Tensor:
    """Two classes whose margin no input changes."""
    return torch.tensor([1.0, 0.0]).expand(len(x), 2)


def test_the_share_halves_where_the_paper_says() -> None:
    halved = [step for step in range(1, 10_000) if share_at(step, 1, 0.8, False) < share_at(step - 1, 1, 0.8, False)]
    assert halved == [11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001]
    assert [share_at(step, 10_000, 0.8, True) for step in range(10_000)] == [
        share_at(step, 5, 0.8, False) for step in range(10_000)
    ]
    assert share_at(0, 5000, 0.8, False) == 0.8
    assert share_at(4999, 5000, 0.8, False) == 0.8 / 128, "AutoAttack's 5,000 queries end half way down"
    assert share_at(4999, 5000, 0.8, True) == 0.8 / 512
    assert share_at(99, 100, 0.8, True) == 0.8 / 512


@pytest.mark.parametrize("odd", [False, True])
def test_windows_fit_and_cover_their_share(odd) -> None:
    for height, width, exponent in itertools.product((1, 2, 5, 28, 32), (1, 2, 5, 28, 784), range(10)):
        share = 0.8 / 2**exponent
        tall, wide = window(share, height, width, odd=odd)
        assert 1 <= tall <= height
        assert 1 <= wide <= width
        if odd and min(tall, wide) < min(height, width):
            assert tall % 2 == wide % 2 == 1
            assert min(tall, wide) >= 3
        if share * height * width >= 20:
            assert tall * wide / (share * height * width) == pytest.approx(1, abs=0.45)
    assert [window(0.8 / 2**k, 28, 28, odd=False)[0] for k in range(10)] == [25, 18, 13, 9, 6, 4, 3, 2, 2, 1]
    assert [window(0.8 / 2**k, 28, 28, odd=True)[0] for k in range(10)] == [25, 19, 13, 9, 7, 5, 3, 3, 3, 3]


@every_shape
def test_the_linf_search_starts_from_vertical_stripes(shape) -> None:
    x = torch.full((50, *shape), 0.5)
    found = square(flat_model, x, Goal(torch.zeros(50).long()), threat=Threat("linf", 0.1), draws=seeds(50), queries=1)
    delta = (found - x).reshape(50, *image_shape(x))
    assert torch.allclose(delta.abs(), torch.tensor(0.1), atol=1e-7)
    assert torch.equal(delta, delta[:, :, :1].expand_as(delta)), "one sign a column"
    signs = delta[:, :, 0].sign().flatten(1)
    assert len(signs.unique(dim=0)) > 1, "each sample has its own"
    assert torch.all(signs.mean(0).abs() < 0.6), "both signs are as likely in each column and channel"


@both_norms
@every_shape
def test_a_move_stays_in_its_windows_and_in_the_ball_and_can_be_undone(norm, shape) -> None:
    x = torch.rand(30, *shape, generator=torch.Generator().manual_seed(0))
    channels, height, width = image_shape(x)
    threat = Threat(norm, 0.3)
    moves = (Squares if norm == "linf" else Pyramids)(x, threat, seeds(30), 0)
    windows = [window(0.5 / 2**k, height, width, odd=norm == "l2") for k in range(4)]
    moves.deal(seeds(30), 1, windows)
    for turn, (tall, wide) in enumerate(windows):
        before = moves.inputs().clone()
        moves.resize(tall, wide)
        moves.move(turn)
        after = moves.inputs().clone()
        assert float(sizes(after - x, norm).max()) <= 0.3 * (1 + 1e-6)
        assert float(after.min()) >= 0
        assert float(after.max()) <= 1
        changed = (after != before).reshape(-1, channels, height, width).any(1)
        idle = int((~changed.flatten(1).any(1)).sum())
        # under l2, a window of few pixels may be dealt the bump it already holds
        assert idle <= (1 if norm == "l2" and width == 7 else 0), "each move changes something"
        for sample, places in enumerate(moves.places[turn].tolist()):
            allowed = torch.zeros(height, width, dtype=torch.bool)
            for place in places:
                top, left = divmod(place, width)
                assert top + tall <= height
                assert left + wide <= width
                allowed[top : top + tall, left : left + wide] = True
            assert not bool((changed[sample] & ~allowed).any())
            if norm == "linf":
                new = (after - x)[sample].reshape(channels, height, width)[:, allowed]
                signs = moves.contents[turn, sample].sign()
                inside = new.abs() > 0.29  # not cut by the box
                agrees = (new.sign() == signs[:, None]) | ~inside
                flipped = (new.sign() == -signs[:, None]) | ~inside
                assert bool(agrees.all()) or bool(flipped.all())
        accepted = torch.arange(30) % 3 == 0
        moves.settle(accepted)
        assert torch.equal(moves.inputs()[accepted], after[accepted])
        assert torch.equal(moves.inputs()[~accepted], before[~accepted])
        if isinstance(moves, Pyramids):
            left = 0.09 - (moves.point - moves.origin).square().sum(1)
            assert torch.allclose(moves.unused.flatten(), left, atol=1e-6)


@pytest.mark.parametrize("corner", ["first", "last"])
def test_windows_reach_every_corner(corner) -> None:
    x = torch.full((400, 1, 5, 5), 0.5)
    moves = Squares(x, Threat("linf", 0.1), seeds(400), 0)
    moves.deal(seeds(400), 1, [(2, 2)] * 50)
    place = 0 if corner == "first" else 3 * 5 + 3
    assert float((moves.places == place).float().mean()) == pytest.approx(1 / 16, rel=0.1)


def test_a_square_always_changes_something() -> None:
    """With one pixel and one channel, every move has to turn the pixel round."""
    x = torch.full((20, 1, 1, 1), 0.5)
    moves = Squares(x, Threat("linf", 0.1), seeds(20), 0)
    moves.deal(seeds(20), 1, [(1, 1)] * 10)
    moves.resize(1, 1)
    for turn in range(10):
        before = moves.point.clone()
        moves.move(turn)
        assert torch.all((moves.point - before).abs() > 0.19)


@pytest.mark.parametrize(("tall", "wide"), [(1, 1), (1, 4), (3, 3), (4, 4), (2, 5), (5, 2), (7, 7), (1, 9)])
def test_pyramids_are_those_of_the_paper(tall, wide) -> None:
    """Equation 2, with its indices from 1 and its longer side first."""
    half = max(tall, wide) // 2
    for row, column in itertools.product(range(1, tall + 1), range(1, wide + 1)):
        up = half - max(abs(row - tall // 2 - 1), abs(column - wide // 2 - 1))
        height = sum(1 / (half + 1 - k) ** 2 for k in range(up + 1))
        assert float(pyramid(tall, wide)[row - 1, column - 1]) == pytest.approx(height, rel=1e-6)


def test_opposite_pyramids_have_length_1_and_two_signs() -> None:
    windows = opposites(5, 5)
    assert torch.allclose(windows.norm(dim=1), torch.ones(2))
    across, down = windows.reshape(2, 5, 5)
    assert torch.allclose(across, down.T)
    assert bool((across[:2] > 0).all() & (across[2:] < 0).all())
    assert float(across[:2].norm()) == pytest.approx(float(across[2:].norm()), rel=1e-6)
    assert torch.allclose(*opposites(1, 4))
    assert opposites(1, 1).flatten().tolist() == [1, 1]


def test_the_l2_search_starts_from_a_grid_of_pyramids() -> None:
    x = torch.full((40, 2, 28, 28), 0.5)
    threat = Threat("l2", 1.0, -BIG, BIG)
    found = square(flat_model, x, Goal(torch.zeros(40).long()), threat=threat, draws=seeds(40), queries=1)
    delta = found - x
    assert torch.allclose(delta.flatten(1).norm(dim=1), torch.ones(40))
    edge = torch.ones(28, 28, dtype=torch.bool)
    edge[1:26, 1:26] = False
    assert not bool(delta[:, :, edge].any()), "five tiles of five pixels, in the middle"
    tiles = delta[:, :, 1:26, 1:26].unfold(2, 5, 5).unfold(3, 5, 5).flatten(-2).flatten(0, 3)
    kinds = torch.cat([opposites(5, 5), -opposites(5, 5)])
    alike = tiles / tiles.norm(dim=1, keepdim=True) @ kinds.T
    assert torch.allclose(alike.amax(1), torch.ones(len(tiles)), atol=1e-4)
    assert alike.argmax(1).bincount(minlength=4).min() > len(tiles) / 4 * 0.85


def test_a_window_takes_over_all_there_is() -> None:
    """The formulas of algorithm 3, for three channels, in double precision."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 6, 3, 9, generator=generator, dtype=torch.float64)
    bumps = torch.nn.functional.normalize(torch.randn(6, 3, 9, generator=generator, dtype=torch.float64), dim=2)
    unused = torch.rand(6, 1, 1, generator=generator, dtype=torch.float64)
    first[0, 0] = 0  # nothing there yet
    taken, whole = take_over(first, second, bumps, unused)
    for sample, channel in itertools.product(range(6), range(3)):
        own, other = first[sample, channel], second[sample, channel]
        length = float(own.norm())
        direction = bumps[sample, channel] + (own / length if length else 0)
        available = float(own.norm() ** 2 + other.norm() ** 2 + unused[sample].squeeze() / 3)
        assert torch.allclose(taken[sample, channel], direction / direction.norm() * available**0.5)
        assert float(whole[sample, channel]) == pytest.approx(available)


def test_samples_that_leave_are_replaced_from_behind() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (1, 2, 9):
        for _ in range(20):
            done = torch.rand(count, generator=generator) < 0.5
            left = close_gaps(torch.arange(count), *find_gaps(done))
            assert sorted(left.tolist()) == (~done).nonzero().flatten().tolist()


@both_norms
def test_more_queries_and_restarts_never_do_worse(norm, curved, images) -> None:
    """Without rescaling, a longer search begins as the shorter one does."""
    x, y = images
    results = [
        create("square", norm=norm, epsilon=EPSILON[norm], queries=queries, restarts=restarts, rescale=False)(
            curved, x, y
        )
        for queries, restarts in ((1, 1), (12, 1), (60, 1), (240, 1), (240, 3))
    ]
    margins = [Goal(y).margin(curved(result.x_adv)) for result in results]
    for few, more, few_margin, more_margin in zip(results, results[1:], margins, margins[1:], strict=False):
        assert bool((few.success <= more.success).all())
        assert torch.equal(more.x_adv[few.success], few.x_adv[few.success])
        assert torch.equal(more.forwards[few.success], few.forwards[few.success])
        assert bool((few_margin <= more_margin)[~few.success].all())
    assert int(results[0].success.sum()) < int(results[2].success.sum())
    assert float(margins[3].sum()) < float(margins[4].sum())


def test_linf_examples_lie_at_the_corners_of_the_ball(curved, images) -> None:
    x, y = images
    result = create("square", norm="linf", epsilon=0.1, queries=100)(curved, x, y)
    searched = result.forwards > 1
    assert searched.tolist() == [index % 5 != 0 for index in range(40)], "the others were wrong from the start"
    assert torch.equal(result.x_adv[::5], x[::5])
    lower, upper = (x - 0.1).clamp(0, 1), (x + 0.1).clamp(0, 1)
    at_corner = (result.x_adv == lower) | (result.x_adv == upper)
    assert bool(at_corner[searched].all())


@both_norms
@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("queries", [1, 2, 51, 130])
def test_queries_are_what_it_costs(norm, restarts, queries, curved, images) -> None:
    x, y = images
    calls = []

    def spying(batch: Tensor) -> Tensor:
        calls.append(len(batch))
        return curved(batch)

    options = {"queries": queries, "restarts": restarts}
    result = create("square", norm=norm, epsilon=EPSILON[norm], **options)(spying, x, y)
    assert bool((result.forwards[::5] == 1).all()), "wrong on the clean input: one pass shows it"
    assert bool((result.forwards[~result.success] == 1 + restarts * queries).all())
    assert bool((result.forwards <= 1 + restarts * queries).all())
    assert not bool(result.success.all())
    assert not bool(result.backwards.any())
    assert len(calls) == 1 + restarts * queries + 1, "one more to verify"


@both_norms
@pytest.mark.parametrize("rescale", [False, True])
def test_a_planted_weakness_is_found(norm, rescale) -> None:
    """The model falls for nothing but a bright patch in the last corner, which random points hardly ever have."""
    x = torch.full((30, 1, 12, 12), 0.5)
    enough = {"linf": 0.95 * 0.1, "l2": 0.5 * 0.4 / 3}[norm]

    def model(batch: Tensor) -> Tensor:
        bright = batch[:, 0, 9:, 9:].mean((1, 2)) - 0.5
        return torch.stack([torch.full_like(bright, enough), bright], 1)

    options = {"norm": norm, "epsilon": EPSILON[norm], "rescale": rescale}
    result = create("square", queries=1000, **options)(model, x, torch.zeros(30).long())
    assert bool(result.success.all())
    chance = create("square", queries=1, **options)(model, x, torch.zeros(30).long())
    assert float(chance.success.float().mean()) < 0.25


@both_norms
def test_targets_are_reached(norm, curved, images) -> None:
    x, y = images
    for aim in range(8):
        targets = torch.full_like(y, aim)
        free = y != aim
        result = create("square", norm=norm, epsilon=4 * EPSILON[norm], queries=200)(
            curved, x[free], y[free], targets=targets[free]
        )
        assert result.success.tolist() == (curved(result.x_adv).argmax(1) == aim).tolist()
        assert float(result.success.float().mean()) > 0.3


@pytest.mark.parametrize("shape", [(12,), (3, 2, 2)])
def test_two_classes_of_a_linear_model_are_solved_under_linf(shape, linear) -> None:
    """Single pixels come last, and each has one better sign: what can be broken is broken, and nothing else."""
    model = linear(12, 2, 1)
    x = torch.randn(100, *shape, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    logits = model(x)
    distance = (logits[:, 0] - logits[:, 1]).abs() / (model.weight[1] - model.weight[0]).abs().sum()
    epsilon = float(distance.median()) * 1.001
    result = create("square", norm="linf", epsilon=epsilon, queries=600, low=-BIG, high=BIG)(model, x, y)
    assert result.success.tolist() == (distance < epsilon).tolist()
    far = create("square", norm="linf", epsilon=10 * float(distance.max()), queries=100, low=-BIG, high=BIG)
    found = far(model, x, y)
    assert bool(found.success.all())
    assert float(found.forwards.mean()) < 6


def test_two_classes_of_a_linear_model_are_nearly_solved_under_l2(linear) -> None:
    model = linear(144, 2, 1)
    x = torch.randn(60, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    logits = model(x)
    distance = (logits[:, 0] - logits[:, 1]).abs() / (model.weight[1] - model.weight[0]).norm()
    epsilon = float(distance.median())
    result = create("square", norm="l2", epsilon=epsilon, queries=1000, low=-BIG, high=BIG)(model, x, y)
    assert not bool(result.success[distance > epsilon].any())
    assert bool(result.success[distance < 0.6 * epsilon].all())
    assert torch.allclose(result.distance, torch.tensor(epsilon), rtol=1e-5), "all of the ball is used"


@both_norms
@every_shape
def test_a_sample_fares_alike_in_any_batch(norm, shape) -> None:
    count = 1
    for each in shape:
        count *= each
    weight = torch.randn(8, count, generator=torch.Generator().manual_seed(5)).double()
    x = torch.rand(23, *shape, generator=torch.Generator().manual_seed(6))

    def model(batch: Tensor) -> Tensor:
        # summed a row at a time, so that nothing depends on the batch
        return torch.stack([(torch.tanh(each.double().flatten() * 3) * weight).sum(1) for each in batch]).float()

    y, ids = model(x).argmax(1), [str(index) for index in range(23)]
    attack = create("square", norm=norm, epsilon=EPSILON[norm] / 2, queries=70)
    whole = attack(model, x, y, ids=ids)
    assert bool(whole.valid.all())
    parts = [attack(model, x[i : i + 5], y[i : i + 5], ids=ids[i : i + 5]).x_adv for i in range(0, 23, 5)]
    assert torch.equal(torch.cat(parts), whole.x_adv)


def test_radius_zero_takes_one_pass(curved, images) -> None:
    x, y = images
    result = create("square", norm="linf", epsilon=0.0)(curved, x, y)
    assert torch.equal(result.x_adv, x)
    assert bool((result.forwards == 1).all())


@both_norms
@pytest.mark.parametrize(("low", "high"), [(-torch.inf, torch.inf), (-torch.inf, 1.0), (0.0, torch.inf)])
def test_boxes_may_be_open(norm, low, high, curved, images) -> None:
    x, y = images
    result = create("square", norm=norm, epsilon=EPSILON[norm], queries=60, low=low, high=high)(curved, x, y)
    assert bool(result.valid.all())
    assert float(result.x_adv.min()) >= low
    assert float(result.x_adv.max()) <= high
