"""What jobs of one process share: batches that shrink when memory runs out, and what is kept in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bench.engine.work.calling import out_of_memory
from bench.engine.work.workplace import Workplace

if TYPE_CHECKING:
    from tests.conftest import Workshop

ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried"),
    "python": MemoryError(),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("fits", [1, 3, 10, 100])
def test_batches_are_halved_until_they_fit(error: Exception, fits: int) -> None:
    seen: list[int] = []

    def double(rows: slice) -> torch.Tensor:
        if rows.stop - rows.start > fits:
            raise error
        seen.append(rows.stop - rows.start)
        return 2 * torch.arange(rows.start, rows.stop)

    place = Workplace("cpu", 40)
    assert torch.cat(place.batched(double, 57)).tolist() == list(range(0, 114, 2))
    assert max(seen) <= fits
    assert place.batch_size <= max(fits, 1) or fits == 100
    tried = place.batch_size
    place.batched(double, 57)
    assert place.batch_size == tried, "the next job begins with what fits"


def test_a_sample_that_does_not_fit_is_given_up() -> None:
    def never(rows: slice) -> None:
        raise ERRORS["cuda"]

    with pytest.raises(torch.OutOfMemoryError):
        Workplace("cpu", 8).batched(never, 8)


def test_other_errors_are_not_retried() -> None:
    calls = []

    def wrong(rows: slice) -> None:
        calls.append(rows)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Workplace("cpu", 8).batched(wrong, 8)
    assert len(calls) == 1


def test_what_counts_as_out_of_memory() -> None:
    assert all(map(out_of_memory, ERRORS.values()))
    assert not out_of_memory(RuntimeError("no"))
    assert not out_of_memory(ValueError("can't allocate memory"))


def test_explicit_sizes_and_empty_lists() -> None:
    place = Workplace("cpu", 500)
    assert [rows.stop - rows.start for rows in place.batched(lambda rows: rows, 10, 4)] == [4, 4, 2]
    assert place.batched(lambda rows: rows, 0) == []
    assert place.batch_size == 500


GREEDY = """
import torch
from toy import linear
LIMIT = 16
def model():
    inner = linear()
    def call(x):
        if len(x) > LIMIT:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(x)
    return call
def hopeless():
    def call(x): raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    return call
"""


def test_a_model_that_needs_much_memory(toy: Workshop) -> None:
    """Its outcomes are those of the same model with room."""
    toy.module("greedy", GREEDY)
    text = toy.suite().read_text()
    roomy = toy.run(text)
    tight = toy.run(text.replace("toy:linear", "greedy:model"), out="tight")
    assert tight.exit_code == 0
    assert [row.value for row in tight.rows] == [row.value for row in roomy.rows]
    none = toy.run(text.replace("toy:linear", "greedy:hopeless"), out="none")
    assert none.exit_code == 3
    assert {row.status for row in none.rows} == {"oom"}
    assert "out of memory with a batch of one sample; use a device with more memory" in none.rows[0].message


def test_a_few_things_are_kept_and_the_oldest_is_dropped() -> None:
    place, made = Workplace("cpu", 8), []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in "abcdefgha":
        place.kept(name, lambda name=name: make(name))  # type: ignore[misc]
    assert "".join(made) == "abcdefgh"
    place.kept("i", lambda: make("i"))
    place.kept("a", lambda: make("A"))
    place.kept("b", lambda: make("B"))
    assert "".join(made) == "abcdefghiB"


RESTLESS = """
import torch
from toy import linear
class Restless(torch.nn.Module):
    "Its boundary moves with each of its first passes."
    def __init__(self):
        super().__init__()
        self.inner = linear()
        self.register_buffer("passes", torch.zeros(()))
    def forward(self, x):
        if self.passes < 12:
            PASSES
        return self.inner(x + 0.02 * self.passes * torch.tensor([1.0, 0, 0, 0]))
MODEL = Restless()
def model(): return MODEL
"""


@pytest.mark.parametrize("how", ["self.passes += 1", "self.passes.data += 1"])
def test_a_model_that_changes_itself_begins_each_job_as_it_was_loaded(toy: Workshop, how: str) -> None:
    """Figures do not depend on what it was asked before, by other attacks or by another run of the process."""
    toy.module("restless", RESTLESS.replace("PASSES", how))
    text = toy.suite().read_text().replace("toy:linear", "restless:model")
    orders = ["[fgsm, {pgd: {steps: 3}}]", "[{pgd: {steps: 3}}, fgsm]"]
    found = []
    for number, (order, executor) in enumerate([(orders[0], "inline"), (orders[1], "inline"), (orders[0], "local")]):
        run = toy.run(text.replace(orders[0], order), store=f"store{number}", out=f"out{number}", executor=executor)
        found.append({name: row.value for name, row in toy.rows(run).items()})
    steady = {name: row.value for name, row in toy.rows(toy.run(toy.suite().read_text(), out="steady")).items()}
    assert found[0] == found[1] == found[2] != steady
