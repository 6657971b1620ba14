"""Some of MNIST's digits, as classes from 0."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from bench.data import DATA, describe, load_named


@pytest.mark.parametrize(("split", "counts"), [("train", (6131, 6265)), ("test", (1010, 1028))])
def test_the_digits_are_all_there_and_no_others(split: str, counts: tuple[int, int]) -> None:
    samples = load_named("mnist-classes", classes=[3, 7], split=split)
    assert samples.y is not None
    assert tuple(np.bincount(samples.y)) == counts
    options = DATA["mnist-classes"].options(classes=[3, 7], split=split)
    assert describe("m", "mnist-classes", options).count == len(samples) == sum(counts)


def test_images_names_and_order_are_those_of_mnist() -> None:
    whole, some = load_named("mnist"), load_named("mnist-classes", classes=[8, 0, 5])
    assert whole.y is not None
    assert some.y is not None
    rows = [int(name.removeprefix("test-")) for name in some.ids]
    assert rows == sorted(rows)
    assert np.array_equal(some.x, whole.x[rows])
    assert np.array_equal(np.array([8, 0, 5])[some.y], whole.y[rows])
    assert len(rows) == np.isin(whole.y, [8, 0, 5]).sum()


def test_the_order_of_the_digits_is_the_order_of_the_classes() -> None:
    forth, back = (load_named("mnist-classes", classes=classes, take=50) for classes in ([3, 7], [7, 3]))
    assert forth.y is not None
    assert np.array_equal(forth.x, back.x)
    assert np.array_equal(forth.y, 1 - back.y)


def test_what_differs_has_another_fingerprint() -> None:
    options = DATA["mnist-classes"].options
    given = [{"classes": [3, 7]}, {"classes": [7, 3]}, {"classes": [3, 7], "split": "train"}, {"classes": [3, 7, 8]}]
    prints = {describe("m", "mnist-classes", options(**case)).fingerprint for case in given}
    prints.add(describe("m", "mnist", DATA["mnist"].options()).fingerprint)
    assert len(prints) == 5


@pytest.mark.parametrize("classes", [[3], [3, 3], [3, 10], [-1, 3], "37"])
def test_classes_that_make_no_sense(classes) -> None:
    with pytest.raises(ValidationError):
        DATA["mnist-classes"].options(classes=classes)
