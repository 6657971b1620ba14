"""What `skip` and `take` leave."""

from __future__ import annotations

import pytest

from bench.data import DATA, describe, load_named
from bench.errors import DataError


@pytest.mark.parametrize(
    ("skip", "take", "first", "count"), [(0, None, 0, 10), (3, None, 3, 7), (0, 4, 0, 4), (3, 4, 3, 4), (8, 5, 8, 2)]
)
def test_skip_leaves_out_the_start_and_take_the_end(skip: int, take: int | None, first: int, count: int) -> None:
    whole = load_named("ring8", samples=10)
    part = load_named("ring8", samples=10, skip=skip, take=take)
    assert list(part.ids) == list(whole.ids[first : first + count])
    assert (part.x == whole.x[first : first + count]).all()
    assert part.y is not None
    assert whole.y is not None
    assert (part.y == whole.y[first : first + count]).all()
    info = describe("d", "ring8", DATA["ring8"].options(samples=10, skip=skip, take=take))
    assert (info.skip, info.count) == (skip, count)


def test_skipping_everything_is_refused() -> None:
    with pytest.raises(DataError, match="`skip: 10` leaves none of its 10 samples"):
        describe("d", "ring8", DATA["ring8"].options(samples=10, skip=10))
