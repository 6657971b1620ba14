"""What gets behind a mask, on masked networks and on an honest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.audit.case import Case
from bench.audit.rescue import rescue
from bench.audit.stronger import stronger
from bench.audit.unblocked import blockers, unblocked
from bench.defenses.stage import Stage
from tests.audit.masks import CaseOf, cut, stopped


class Rounding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (7 * x).round() / 7


class TestRescue:
    def rescued(self, case: Case, others: Any = ()) -> tuple[float, list[str]]:
        """The share that still stands at the largest radius, and what was tried."""
        x, y = case.batch(np.arange(len(case.ids)))
        tried = rescue(case, x, y, [], others)
        with torch.no_grad():
            broken = case.model(tried.examples[-1]).argmax(1) != y
        return float((~(broken.numpy() | case.broken[-1])).mean()), tried.names

    def reference(self, case_of: CaseOf, hidden: Any) -> float:
        """What stands on the unmasked network under AutoAttack."""
        return float((~case_of(hidden().eval(), epsilons=(0.01,), attacks=[("autoattack", {})]).broken[-1]).mean())

    @pytest.mark.parametrize(
        ("mask", "words"),
        [
            ({"after": lambda z: 1e4 * z}, "logits divided by their scale"),
            ({"after": lambda z: z.softmax(1)}, "the logarithm of the probabilities"),
            ({"before": Stage(stopped)}, "autoattack"),
        ],
        ids=["scaled", "probabilities", "declared stage"],
    )
    def test_it_ends_where_autoattack_ends_without_the_mask(
        self, case_of: CaseOf, hidden: Any, mask: dict[str, Any], words: str
    ) -> None:
        share, names = self.rescued(case_of(hidden(**mask).eval(), epsilons=(0.01,)))
        assert share == pytest.approx(self.reference(case_of, hidden), abs=0.02)
        assert words in names[0]

    def test_a_module_that_nobody_declared(self, case_of: CaseOf, hidden: Any) -> None:
        class Still(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return stopped(x)

        model = hidden().eval()
        model.before = Still()
        share, names = self.rescued(case_of(model, epsilons=(0.01,)))
        assert share == pytest.approx(self.reference(case_of, hidden), abs=0.02)
        assert "straight through Still" in names[0]

    def test_without_a_way_in_square_and_transfer_are_left(self, case_of: CaseOf, hidden: Any) -> None:
        case = case_of(hidden(cut).eval(), epsilons=(0.01,), attacks=[])
        share, names = self.rescued(case, [("open", hidden().eval())])
        assert share == pytest.approx(self.reference(case_of, hidden), abs=0.08)
        assert names[-1] == "transfer from open"

    def test_what_checks_broke_is_taken_first(self, case_of: CaseOf, hidden: Any) -> None:
        """Of a model that hides nothing, that alone."""
        case = case_of(hidden().eval(), epsilons=(0.004, 0.01), attacks=[("fgsm", {})])
        found = stronger(case).found
        assert found.flags.any()
        x, y = case.batch(np.arange(len(case.ids)))
        tried = rescue(case, x, y, [found], [], masked=False)
        with torch.no_grad():
            broken = np.stack([(case.model(level).argmax(1) != y).numpy() for level in tried.examples])
        assert np.array_equal(broken & ~case.broken, found.flags & ~case.broken)
        assert tried.names == []
        part = found.within(50, 120)
        assert np.array_equal(part.flags, found.flags[:, 50:120])
        assert len(part.examples()) == part.flags.sum()

    def test_what_did_not_run_is_not_named(self, case_of: CaseOf, hidden: Any) -> None:
        """Under l1 no attack of ours does without a gradient."""
        _, names = self.rescued(case_of(hidden(cut).eval(), norm="l1", epsilons=(0.2,), attacks=[]))
        assert names == []
        _, names = self.rescued(case_of(hidden().eval(), norm="l1", epsilons=(0.2,), attacks=[]))
        assert names == ["l1-apgd"]

    def test_another_model_that_fails_is_told_and_done_without(self, case_of: CaseOf, hidden: Any) -> None:
        def failing(x: Tensor) -> Tensor:
            raise ValueError("out of order")

        _, names = self.rescued(case_of(hidden().eval()), [("bad", failing), ("open", hidden().eval())])
        assert names[1:] == ["nothing from bad (out of order)", "transfer from open"]

    def test_what_it_comes_to_does_not_depend_on_the_batch(self, case_of: CaseOf, hidden: Any) -> None:
        whole, parts = (
            rescue(case, *case.batch(np.arange(60)), [], [("open", hidden().eval())])
            for case in (case_of(hidden(after=lambda z: 1e4 * z).eval(), count=60, width=width) for width in (60, 7))
        )
        assert torch.equal(whole.examples, parts.examples)
        assert np.array_equal(whole.known, parts.known)
        assert np.array_equal(whole.costs, parts.costs)


class TestUnblocked:
    def test_the_innermost_module_is_found(self) -> None:
        rounding = Rounding()
        model = nn.Sequential(nn.Sequential(rounding, nn.Identity()), nn.Flatten(), nn.Linear(4, 3))
        assert blockers(model, torch.rand(2, 1, 2, 2)) == [rounding]

    def test_an_honest_model_has_none(self) -> None:
        model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
        assert blockers(model, torch.rand(2, 1, 4, 4)) == []

    def test_a_rectifier_that_is_dead_on_a_batch_is_none(self) -> None:
        model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
        with torch.no_grad():
            model[0].weight.fill_(-1.0)
            model[0].bias.fill_(-1.0)
        assert blockers(model, torch.rand(2, 1, 4, 4)) == []

    def test_a_model_that_cannot_be_looked_into(self) -> None:
        class Choosy(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                raise ValueError(f"not {len(x)} of them")

        assert blockers(Choosy(), torch.rand(2, 3)) == []

    def test_a_module_that_is_called_in_another_way_too(self) -> None:
        """Straight through where it keeps the shape, itself elsewhere."""

        class Wide(nn.Module):
            def forward(self, x: Tensor, times: int = 1) -> Tensor:
                return x.round().repeat(1, times)

        wide = Wide()
        x = torch.rand(2, 3, requires_grad=True)
        with unblocked([wide]):
            assert wide(x=x).shape == (2, 3)
            assert wide(x, times=2).shape == (2, 6)
            assert torch.autograd.grad(wide(x).sum(), x)[0].tolist() == [[1.0] * 3] * 2

    def test_a_plain_function_cannot_be_looked_into(self) -> None:
        assert blockers(lambda x: x.round(), torch.rand(2, 3)) == []

    def test_the_gradient_passes_within_the_block_alone(self) -> None:
        rounding = Rounding()
        x = torch.rand(3, requires_grad=True)
        with unblocked([rounding]):
            inside = rounding(x)
            assert torch.autograd.grad(inside.sum(), x)[0].tolist() == [1.0, 1.0, 1.0]
        assert torch.equal(inside, rounding(x))
        assert torch.autograd.grad(rounding(x).sum(), x)[0].tolist() == [0.0, 0.0, 0.0]
