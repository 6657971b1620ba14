"""What a row was made by: which changes of a suite make its figure another kind of figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from bench.engine.ledger import _costs
from bench.results import snapshot
from bench.results.gating import gate

if TYPE_CHECKING:
    from bench.results.snapshot import Snapshot
    from tests.conftest import Workshop

SUITE = """
suite: made
data:
  train: {source: mnist, split: train, take: 300}
  mnist: {source: mnist, split: test, take: 40}
models:
  one: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 1}}
  two: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 2}}
  vae: {kind: autoencoder, arch: {vae: {hidden: [8], latent: 2}}, train: {recipe: autoencoding, data: train, epochs: 1}}
evaluations:
  wb: {kind: robustness, models: [one], data: mnist, threat: {norm: linf, epsilon: [0.05]}, attacks: [{pgd: {steps: 3}}]}
  tr: {kind: transfer, surrogates: [two], victims: [one], data: mnist, threat: {norm: linf, epsilon: 0.05}, attacks: [fgsm]}
  gen: {kind: generation, models: [vae], data: mnist, samples: 12, metrics: [{frechet: {features: two}}]}
gate: {rows: [{match: "*"}]}
"""  # noqa: E501
WHITE, CLEAN = "wb/one/worst-case/linf-0.05/robust_accuracy", "wb/one/clean/none/accuracy"
TRANSFER, GENERATED = "tr/one/fgsm@two/linf-0.05/success_rate", "gen/vae/mnist/frechet"
ROWS = (WHITE, CLEAN, TRANSFER, GENERATED)


@pytest.fixture(scope="module")
def snapshot_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Snapshot]]:
    """The snapshot of a run of the suite, all of one store."""
    from tests.conftest import Workshop

    shop = Workshop(tmp_path_factory.mktemp("made"))
    shop.module("mine", "def largest(model, x, examples, y): return examples.flatten(1).amax(1)")

    def of(text: str) -> Snapshot:
        run = shop.run(text)
        assert run.exit_code == 0, [row.message for row in run.rows]
        return snapshot.read(run.folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(shop.folder)
        yield of
    sys.modules.pop("mine", None)


@pytest.mark.parametrize(
    ("old", "new", "otherwise", "differing"),
    [
        ("suite: made", "suite: made\ndescription: words", (), ()),
        ("steps: 3", "steps: 4", (WHITE,), (WHITE, CLEAN)),
        ("[{pgd: {steps: 3}}]", "[{pgd: {steps: 3}}, fgsm]", (WHITE,), (WHITE, CLEAN)),
        ("steps: 3}}]", 'steps: 3}}], metrics: [robust_accuracy, "mine:largest"]', (), ()),
        ("epsilon: [0.05]", "epsilon: [0.05, 0.1]", (), (WHITE, CLEAN)),
        ("take: 40", "take: 30", (GENERATED,), ROWS),
        ("epochs: 2", "epochs: 3", (TRANSFER, GENERATED), (TRANSFER, GENERATED)),
        ("recipe: standard, data: train, epochs: 1", "recipe: standard, data: train, epochs: 4", (),
         (WHITE, CLEAN, TRANSFER)),
        ("samples: 12", "samples: 14", (GENERATED,), (GENERATED,)),
        ("features: two", "features: one", (GENERATED,), (GENERATED,)),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_change_of_the_suite_does(
    snapshot_of: Callable[[str], Snapshot], old: str, new: str, otherwise: tuple[str, ...], differing: tuple[str, ...]
) -> None:
    assert old in SUITE
    before, now = snapshot_of(SUITE), snapshot_of(SUITE.replace(old, new, 1))
    assert tuple(row for row in ROWS if before.rows[row].method != now.rows[row].method) == otherwise
    assert tuple(row for row in ROWS if before.rows[row].whole != now.rows[row].whole) == differing
    answers = {row.row: row for row in gate(now, before).rows}
    for row in ROWS:
        assert (answers[row].answer == "incomparable") == (row in otherwise), answers[row]
        if row not in differing:
            assert answers[row].how == "exact"


def test_where_the_jobs_were_done_counts_and_not_where_the_report_is_made(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may come from another machine: what it holds is of that one."""
    first = snapshot.read(workshop.run(SUITE).folder)
    monkeypatch.setattr("bench.engine.ledger._costs", lambda record: {
        **_costs(record), "machine": {**record.meta["machine"], "threads": "96"}
    })  # fmt: skip
    again = snapshot.read(workshop.run(SUITE, out=workshop.folder / "again").folder)
    assert again.machine == {**first.machine, "threads": "96"}
    part = snapshot.read(workshop.run(SUITE.replace("steps: 3", "steps: 5"), out=workshop.folder / "part").folder)
    assert " and " in part.machine["threads"]
    assert {row.how for row in gate(part, part).rows} == {"paired", "trials"}


def test_models_that_were_trained_anew_are_others(snapshot_of: Callable[[str], Snapshot]) -> None:
    before, now = snapshot_of(SUITE), snapshot_of(SUITE.replace("epochs: 1", "epochs: 4", 1))
    differing = tuple(row for row in ROWS if before.rows[row].models != now.rows[row].models)
    assert differing == (WHITE, CLEAN, TRANSFER)
    assert before.rows[WHITE].models == snapshot_of(SUITE.replace("steps: 3", "steps: 4")).rows[WHITE].models


THEIRS = """
import torch
class Net(torch.nn.Module):
    def features(self, x): return x.flatten(1)[:, 300:310]
    def forward(self, x): return self.features(x)
def net(): return Net()
"""


def test_what_their_code_is_behind_is_not_compared_exactly(workshop: Workshop) -> None:
    """It may read a file, or the clock; what stands beside it is ours all the same."""
    workshop.module("theirs", THEIRS)
    theirs = 'two: {kind: classifier, load: "theirs:net"}'
    ours = next(line.strip() for line in SUITE.splitlines() if line.startswith("  two:"))
    found = snapshot.read(workshop.run(SUITE.replace(ours, theirs)).folder)
    assert {row: found.rows[row].ours for row in ROWS} == {WHITE: True, CLEAN: True, TRANSFER: False, GENERATED: False}
