"""What a gate answers, and how often it is wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.results import gate_reports
from bench.results.gating import Gate, gate
from bench.results.snapshot import Gated, Snapshot
from tests.results.snapshots import ONE_MACHINE, ROW, recorded, run_of, snapshot


def only(found: Gate) -> tuple[str, int]:
    """The one answer, and the exit code."""
    assert len(found.rows) == 1
    return found.rows[0].answer, found.exit_code()


def flipped(outcomes: NDArray[np.bool_], share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    return outcomes ^ (generator.random(len(outcomes)) < share)


class TestErrorRates:
    """1,000 samples of which half stand, level .01, one row, no tolerance: as the issue has it."""

    def share(self, drop: float, noise: float, repetitions: int = 2000) -> float:
        """How often a regression is called; `drop` of all samples are lost for good, the others flip by chance."""
        generator = np.random.default_rng(5)
        calls = 0
        for _ in range(repetitions):
            before = generator.random(1000) < 0.5
            now = before.copy()
            standing = np.flatnonzero(before)
            now[generator.choice(standing, round(drop * 1000), replace=False)] = False
            found = gate(run_of(flipped(now, noise, generator)), run_of(before))
            calls += found.rows[0].answer == "regression"
        return calls / repetitions

    def test_false_alarms(self) -> None:
        assert 0 < self.share(0.0, 0.02) <= 0.01

    def test_a_drop_of_one_point_is_seen(self) -> None:
        assert self.share(0.01, 0.002) >= 0.6

    def test_a_drop_of_two_points_is_seen(self) -> None:
        assert self.share(0.02, 0.002) >= 0.95

    def test_many_rows_are_no_more_often_wrong_together(self) -> None:
        """Twenty rows without any change but noise: without a correction one in ten runs would be called worse."""
        generator = np.random.default_rng(1)
        names = [str(index) for index in range(300)]
        wrong = 0
        for _ in range(300):
            before = {f"e/m{row}/worst-case/linf-1/robust_accuracy": generator.random(300) < 0.5 for row in range(20)}
            then = snapshot({row: recorded([values], names) for row, values in before.items()}, {"300": names})
            rows = {row: recorded([flipped(values, 0.1, generator)], names) for row, values in before.items()}
            wrong += gate(snapshot(rows, {"300": names}), then).count("regression") > 0
        assert wrong / 300 <= 0.03

    @pytest.mark.parametrize(("drop", "least", "most"), [(0.0, 0.0, 0.03), (0.3, 0.9, 1.0)])
    def test_of_models_that_are_trained_anew_trials_are_compared(self, drop: float, least: float, most: float) -> None:
        """Three trials a run, of which each has its own robustness: their samples are not so many witnesses."""
        generator = np.random.default_rng(3)
        names = [str(index) for index in range(300)]

        def run(of: str, share: float) -> Snapshot:
            trials = [generator.random(300) < generator.normal(share, 0.04) for _ in range(3)]
            return snapshot({ROW: recorded(trials, names, models=of)}, {"300": names})

        found = [gate(run("those of now", 0.6 - drop), run("those of then", 0.6)).rows[0] for _ in range(300)]
        assert {row.how for row in found} == {"trials"}
        assert "3 trials, of other models" in found[0].sentence
        assert least <= sum(row.answer == "regression" for row in found) / 300 <= most

    @pytest.mark.parametrize(("then", "here"), [(1, 3), (3, 1), (2, 3), (3, 3)])
    def test_a_collapse_is_seen_whatever_the_trials(self, then: int, here: int) -> None:
        """Without any spread between trials their samples say how much a figure may vary."""
        names = [str(index) for index in range(100)]
        sound, ruined = [0] * 2 + [1] * 98, [1] * 2 + [0] * 98
        before = snapshot({ROW: recorded([sound] * then, names, models="a")}, {"100": names})
        now = snapshot({ROW: recorded([ruined] * here, names, models="b")}, {"100": names})
        assert only(gate(now, before)) == ("regression", 1)
        assert only(gate(before, now)) == ("improved", 0)


class TestAnswers:
    def test_a_drop_that_is_no_chance(self) -> None:
        found = gate(run_of([0] * 20 + [1] * 80), run_of([1] * 100))
        assert only(found) == ("regression", 1)
        assert found.rows[0].lost == tuple(f"mnist/{index}" for index in range(20))
        assert found.rows[0].p == pytest.approx(2**-20)
        assert "20 of 100 lost, 0 gained" in found.rows[0].sentence

    def test_a_drop_that_may_be_chance_says_what_it_could_have_seen(self) -> None:
        found = gate(run_of([0] * 3 + [1] * 97), run_of([1] * 100))
        assert only(found) == ("inconclusive", 0)
        assert found.exit_code(inconclusive_fails=True) == 4
        assert "the smallest drop that could have been told from chance is 7 % of the samples" in found.rows[0].sentence

    def test_a_drop_within_the_tolerance(self) -> None:
        now = run_of([0] * 20 + [1] * 80)
        assert only(gate(replace(now, gated={ROW: Gated(0.2)}), run_of([1] * 100))) == ("pass", 0)
        assert only(gate(replace(now, gated={ROW: Gated(0.19)}), run_of([1] * 100))) == ("regression", 1)

    def test_gains_are_told(self) -> None:
        assert only(gate(run_of([1] * 100), run_of([0] * 20 + [1] * 80))) == ("improved", 0)

    def test_samples_are_joined_by_name_and_not_by_place(self) -> None:
        names = [f"n{index}" for index in range(100)]
        before = run_of([1] * 50 + [0] * 50, names=names)
        now = run_of([0] * 50 + [1] * 50, names=names[::-1])
        assert only(gate(now, before)) == ("pass", 0)

    def test_a_part_of_the_samples_is_compared_and_said_to_be(self) -> None:
        found = gate(run_of([1] * 60), run_of([1] * 100))
        assert only(found) == ("pass", 0)
        assert found.rows[0].n == 60
        assert "compared on the 60 outcomes that both have (40 are in one alone)" in found.rows[0].sentence

    def test_the_figures_told_are_of_what_is_compared(self) -> None:
        """Of the baseline's hundred the run has the sixty that stood, and all of them stand."""
        (row,) = gate(run_of([1] * 60), run_of([1] * 60 + [0] * 40)).rows
        assert (row.before, row.now, row.answer) == (1.0, 1.0, "pass")

    def test_samples_that_do_not_count_are_left_out(self) -> None:
        found = gate(run_of([1, math.nan, 0, 1]), run_of([1, 1, math.nan, 0]))
        assert (found.rows[0].n, found.rows[0].gained) == (2, ("mnist/3",))

    def test_trials_are_compared_sample_by_sample(self) -> None:
        names = ["a", "b", "c"]
        before = snapshot({ROW: recorded([[1, 1, 1], [1, 1, 1]], names)}, {"3": names})
        now = snapshot({ROW: recorded([[1, 1, 1], [1, 0, 1]], names)}, {"3": names})
        assert gate(now, before).rows[0].lost == ("trial 1: b",)

    def test_figures_that_are_not_yes_or_no(self) -> None:
        """A sign test: all of ten distances shrank."""
        before = run_of(np.linspace(1, 2, 10))
        assert only(gate(run_of(np.linspace(1, 2, 10) - 0.1), before)) == ("regression", 1)
        assert only(gate(run_of(np.linspace(1, 2, 10) - 0.1, direction="lower"), run_of(
            np.linspace(1, 2, 10), direction="lower"))) == ("improved", 0)  # fmt: skip

    def test_figures_of_trials(self) -> None:
        row = "grid/gan/grid/modes"
        before = snapshot({row: recorded([[24], [25], [24], [25], [24]])})
        assert only(gate(snapshot({row: recorded([[20], [19], [20], [20], [21]])}), before)) == ("regression", 1)
        assert only(gate(snapshot({row: recorded([[24], [23], [25], [24], [25]])}), before)) == ("inconclusive", 0)

    def test_one_trial_cannot_show_a_drop(self) -> None:
        row = "grid/gan/grid/modes"
        found = gate(snapshot({row: recorded([[20]])}), snapshot({row: recorded([[24]])}))
        assert only(found) == ("inconclusive", 0)
        assert "one trial says nothing of chance" in found.rows[0].sentence


class TestVerdicts:
    """A figure that cannot be believed is no better."""

    BEFORE = run_of([0] * 50 + [1] * 50, model_verdict="trusted", row_verdict="adequate")

    def test_a_model_that_hides_its_gradients_now(self) -> None:
        found = gate(run_of([1] * 100, model_verdict="masked", row_verdict="too-weak"), self.BEFORE)
        assert only(found) == ("regression", 1)
        assert "the model is masked now and was trusted" in found.rows[0].sentence

    def test_an_attack_that_is_broken_now(self) -> None:
        found = gate(run_of([1] * 100, model_verdict="trusted", row_verdict="broken-attack"), self.BEFORE)
        assert only(found) == ("incomparable", 3)

    def test_an_attack_that_was_and_is_broken(self) -> None:
        before = run_of([0] * 50 + [1] * 50, row_verdict="broken-attack")
        assert only(gate(run_of([1] * 100, row_verdict="broken-attack"), before)) == ("incomparable", 3)

    def test_nobody_looks_any_more(self) -> None:
        found = gate(run_of([1] * 100), self.BEFORE)
        assert only(found) == ("incomparable", 3)
        assert "nobody audited it now, and the model was trusted before" in found.rows[0].sentence

    def test_an_attack_that_is_too_weak_now(self) -> None:
        found = gate(run_of([1] * 100, model_verdict="trusted", row_verdict="too-weak"), self.BEFORE)
        assert only(found) == ("pass", 0)
        assert "too weak now, and was adequate" in found.rows[0].sentence

    def test_a_model_that_was_masked_before_is_no_better(self) -> None:
        before = run_of([0] * 50 + [1] * 50, model_verdict="masked", row_verdict="too-weak")
        assert only(gate(run_of([1] * 100, model_verdict="masked", row_verdict="too-weak"), before)) == ("pass", 0)

    def test_a_model_that_hides_no_more_is_better(self) -> None:
        before = run_of([0] * 50 + [1] * 50, model_verdict="masked", row_verdict="too-weak")
        assert only(gate(run_of([1] * 100, model_verdict="trusted"), before)) == ("improved", 0)


class TestExactRows:
    BEFORE = run_of([1] * 100, device="cpu")

    def test_one_lost_sample_is_a_regression(self) -> None:
        found = gate(run_of([0] + [1] * 99, device="cpu"), self.BEFORE)
        assert only(found) == ("regression", 1)
        assert (found.rows[0].how, found.rows[0].lost) == ("exact", ("mnist/0",))

    def test_nothing_changed(self) -> None:
        found = gate(self.BEFORE, self.BEFORE)
        assert (only(found), found.rows[0].sentence) == (("pass", 0), "equal in all 100 outcomes")

    def test_a_tolerance_allows_for_some(self) -> None:
        now = replace(run_of([0] + [1] * 99, device="cpu"), gated={ROW: Gated(0.01)})
        assert only(gate(now, self.BEFORE)) == ("pass", 0)

    def test_figures_of_trials_are_told_as_such(self) -> None:
        row = "grid/gan/grid/modes"
        before, now = (snapshot({row: recorded([[modes]])}, device="cpu") for modes in (24, 20))
        (found,) = gate(now, before).rows
        assert (found.answer, found.how) == ("regression", "exact")
        assert found.sentence.startswith("24 before, 20 now (1 trials), where nothing may change (same weights")

    def test_one_gained_sample_has_no_reason_either(self) -> None:
        """A weaker attack leaves more standing, and nothing else may have changed."""
        found = gate(self.BEFORE, run_of([0] + [1] * 99, device="cpu"))
        assert only(found) == ("incomparable", 3)
        assert "though nothing it depends on has changed" in found.rows[0].sentence
        allowed = replace(self.BEFORE, gated={ROW: Gated(0.01)})
        assert only(gate(allowed, run_of([0] + [1] * 99, device="cpu"))) == ("improved", 0)
        elsewhere = replace(self.BEFORE, machine={**ONE_MACHINE, "torch": "3.0"}, gated={ROW: Gated(compare="exact")})
        assert only(gate(elsewhere, run_of([0] + [1] * 99, device="cpu"))) == ("improved", 0)

    @pytest.mark.parametrize(
        "changed",
        [
            {"whole": "other weights"}, {"ours": False}, {"device": "cuda"},
            *({"machine": {**ONE_MACHINE, key: "other"}} for key in ONE_MACHINE),
        ],
        ids=str,
    )  # fmt: skip
    def test_where_anything_differs_statistics_decide(self, changed: dict[str, object]) -> None:
        found = gate(run_of([0] + [1] * 99, **{"device": "cpu", **changed}), self.BEFORE)
        assert (only(found), found.rows[0].how) == (("inconclusive", 0), "paired")
        assert bool(found.notes) == ("machine" in changed or "device" in changed)

    def test_the_suite_can_ask_for_either(self) -> None:
        now = run_of([0] + [1] * 99)
        assert only(gate(replace(now, gated={ROW: Gated(compare="exact")}), self.BEFORE)) == ("regression", 1)
        now = run_of([0] + [1] * 99, device="cpu")
        assert only(gate(replace(now, gated={ROW: Gated(compare="paired")}), self.BEFORE)) == ("inconclusive", 0)


class TestCost:
    @pytest.mark.parametrize(
        ("cost", "word"),
        [({"forwards": 12.0}, "12 forward passes"), ({"backwards": 15.0}, "backward"), ({"memory": 900.0}, "900 MiB")],
        ids=str,
    )
    def test_a_row_that_needs_more_is_a_regression(self, cost: dict[str, object], word: str) -> None:
        found = gate(run_of([1] * 10, **cost), run_of([1] * 10))
        assert only(found) == ("regression", 1)
        assert word in found.rows[0].sentence

    def test_passes_move_between_radii(self) -> None:
        """What falls at a large radius is attacked again at a small one: only all radii together say anything."""
        radii = [ROW, ROW.replace("linf-0.3", "linf-0.1")]
        names = [str(index) for index in range(10)]

        def run(large: float, small: float) -> Snapshot:
            rows = zip(radii, (large, small), strict=True)
            return snapshot({row: recorded([[1] * 10], names, forwards=cost) for row, cost in rows}, {"10": names})

        assert gate(run(20, 50), run(50, 20)).exit_code() == 0
        assert gate(run(50, 50), run(50, 20)).exit_code() == 1

    def test_a_little_more_is_not(self) -> None:
        assert only(gate(run_of([1] * 10, forwards=11.0, memory=800.0), run_of([1] * 10))) == ("pass", 0)

    def test_a_model_that_stands_where_it_fell_is_dearer_to_attack(self) -> None:
        found = gate(run_of([1] * 100, forwards=40.0), run_of([0] * 50 + [1] * 50, forwards=10.0))
        assert only(found) == ("improved", 0)

    def test_memory_of_another_device_is_another_matter(self) -> None:
        assert only(gate(run_of([1] * 10, memory=9e3, device="cpu"), run_of([1] * 10))) == ("pass", 0)

    def test_memory_of_a_cpu_counts_where_nothing_else_differs(self) -> None:
        now, before = (run_of([1] * 10, memory=memory, device="cpu") for memory in (9e3, 700.0))
        assert only(gate(now, before)) == ("regression", 1)
        assert only(gate(replace(now, machine={**ONE_MACHINE, "torch": "3"}), before)) == ("pass", 0)

    def test_any_cost_where_the_suite_says_so(self) -> None:
        now = replace(run_of([1] * 10, forwards=90.0), passes=None)
        assert only(gate(now, run_of([1] * 10))) == ("pass", 0)


class TestWhatCannotBeCompared:
    def test_a_row_without_a_figure(self) -> None:
        now = run_of([1] * 10, status="failed", message="the model raised", value=math.nan)
        found = gate(now, run_of([1] * 10))
        assert (only(found), found.rows[0].sentence) == (
            ("not-measured", 3), "failed: the model raised"
        )  # fmt: skip

    def test_a_new_row_among_others_passes_aloud(self) -> None:
        names = ["a", "b"]
        before = snapshot({"e/x/worst-case/linf-1/robust_accuracy": recorded([[1, 1]], names)}, {"2": names})
        rows = {**before.rows, ROW: recorded([[1, 1]], names)}
        found = gate(snapshot(rows, {"2": names}), before)
        assert ([row.answer for row in found.rows], found.exit_code()) == (["pass", "new"], 0)

    def test_only_new_rows_are_nothing_compared(self) -> None:
        found = gate(run_of([1, 1]), snapshot({}))
        assert only(found) == ("new", 3)
        assert "nothing was compared" in gate_reports.headline(found)

    def test_no_rows_at_all(self) -> None:
        assert gate(snapshot({}), snapshot({})).exit_code() == 3

    def test_a_row_that_is_gone(self) -> None:
        names = [str(index) for index in range(10)]
        before = snapshot({ROW: recorded([[1] * 10], names), "e/x/a/b/c": recorded([[1] * 10], names)}, {"10": names})
        found = gate(run_of([1] * 10, names=names), before)
        assert ([row.answer for row in found.rows], found.exit_code()) == (["pass", "missing"], 3)

    def test_a_row_that_the_suite_gates_no_more(self) -> None:
        names = [str(index) for index in range(10)]
        rows = {ROW: recorded([[1] * 10], names), "e/x/a/b/c": recorded([[0] * 10], names)}
        before, now = snapshot(rows, {"10": names}), snapshot(rows, {"10": names})
        found = gate(replace(now, gated={ROW: Gated()}), before)
        assert ([row.answer for row in found.rows], found.exit_code()) == (["pass", "missing"], 3)
        assert "does not gate it any more" in found.rows[1].sentence

    def test_another_rule_than_the_baselines_is_said(self) -> None:
        found = gate(replace(run_of([1] * 10), gated={ROW: Gated(1.0)}), run_of([1] * 10))
        assert any("1 rows by another rule" in note for note in found.notes)

    @pytest.mark.parametrize("changed", [{"level": 1e-12}, {"passes": None}, {"memory": None}], ids=str)
    def test_another_measure_than_the_baselines_is_said(self, changed: dict[str, object]) -> None:
        (key,) = changed
        assert any(f"`gate.{key}`" in note for note in gate(replace(run_of([1] * 9), **changed), run_of([1] * 9)).notes)  # type: ignore[arg-type]
        assert gate(run_of([1] * 9), run_of([1] * 9)).notes == ()

    def test_radii_that_an_id_does_not_tell_apart(self) -> None:
        found = gate(run_of([1] * 9, epsilon=0.3004), run_of([1] * 9, epsilon=0.3))
        assert only(found) == ("incomparable", 3)
        assert "its radius is 0.3004 and was 0.3" in found.rows[0].sentence

    def test_two_runs_have_no_baseline_to_write(self) -> None:
        both = {ROW: recorded([[1, 1]], ["a", "b"])}
        one, other = (
            snapshot({**both, f"e/{name}/a/b/c": recorded([[1, 1]], ["a", "b"])}, {"2": ["a", "b"]}) for name in "xy"
        )
        found = {row.row: row.sentence for row in gate(one, other, whole=True).rows}
        assert found["e/x/a/b/c"] == "only the second run has it"
        assert found["e/y/a/b/c"] == "only the first run has it"

    def test_a_row_that_was_renamed(self) -> None:
        outcomes = [1, 0] * 20
        found = gate(run_of(outcomes, row="whitebox/cnn-2/worst-case/linf-0.3/robust_accuracy"), run_of(outcomes))
        answers = {row.row: row for row in found.rows}
        assert (answers[ROW].answer, found.exit_code()) == ("missing", 3)
        assert "'whitebox/cnn-2/worst-case/linf-0.3/robust_accuracy' has the same outcomes" in answers[ROW].sentence

    def test_other_data(self) -> None:
        others = [f"other/{index}" for index in range(11)]
        found = gate(run_of([1] * 11, data="f2", names=others), run_of([1] * 10, data="f1"))
        assert only(found) == ("different-data", 3)
        assert "its hash was f1 and is f2" in found.rows[0].sentence

    def test_other_data_of_a_row_without_samples(self) -> None:
        now, before = (snapshot({ROW: recorded([[value]], data=data)}) for value, data in ((1.0, "f2"), (9.0, "f1")))
        found = gate(now, before)
        assert only(found) == ("different-data", 3)
        assert "its hash was f1 and is f2" in found.rows[0].sentence

    @pytest.mark.parametrize(
        ("lost", "gained", "answer"),
        [
            (0, 0, ("different-data", 3)),
            (0, 40, ("different-data", 3)),
            (1, 0, ("different-data", 3)),
            (40, 0, ("regression", 1)),
            (40, 10, ("regression", 1)),
        ],
    )
    def test_other_data_under_the_same_names(self, lost: int, gained: int, answer: tuple[str, int]) -> None:
        """A drop is a drop; that there is none says nothing of other samples."""
        before = np.repeat([True, False], 50)
        now = before.copy()
        now[:lost], now[50 : 50 + gained] = False, True
        found = gate(run_of(now, data="f2"), run_of(before, data="f1"))
        assert only(found) == answer
        assert "its data has changed under the same names of samples" in found.rows[0].sentence
        assert found.rows[0].how == "paired"
        assert (len(found.rows[0].lost), len(found.rows[0].gained)) == (lost, gained)
        advice = "if that is meant, write the baseline anew with `bench baseline`"
        assert (advice in found.rows[0].sentence) == (answer[0] == "different-data")

    @pytest.mark.parametrize(
        ("lost", "gained", "answer"),
        [(0, 0, ("pass", 0)), (0, 40, ("incomparable", 3)), (40, 0, ("regression", 1)), (3, 0, ("inconclusive", 0))],
    )
    def test_other_code_of_an_attack(self, lost: int, gained: int, answer: tuple[str, int]) -> None:
        """Worse is worse; better may be a weaker attack."""
        before = np.repeat([True, False], 50)
        now = before.copy()
        now[:lost], now[50 : 50 + gained] = False, True
        found = gate(run_of(now, code="c2", ours=False), run_of(before, code="c1", ours=False))
        assert only(found) == answer
        assert "the code of its attack or metric, or something it uses, has changed" in found.rows[0].sentence
        same = gate(run_of(now, code="c1", ours=False), run_of(before, code="c1", ours=False))
        assert "the code" not in same.rows[0].sentence
        assert only(same)[0] == ("improved" if gained else answer[0])

    def test_what_cannot_be_tracked_is_said(self) -> None:
        doubt = "attack mine:attack starts a process"
        found = gate(run_of([1] * 9, untracked=(doubt,), origin={"seed": 0, "trust": True}), run_of([1] * 9))
        assert only(found) == ("pass", 0)
        assert found.notes == (
            f"{doubt}, which cannot be tracked: {ROW}; say what it uses with `uses:`",
            "stored results of code that cannot be tracked were believed (--trust)",
        )

    def test_other_samples_of_the_same_data(self) -> None:
        assert only(gate(run_of([1] * 3, names=["x", "y", "z"]), run_of([1] * 3))) == ("different-data", 3)

    def test_too_few_of_the_samples(self) -> None:
        """A run on a tenth of the samples could hide any drop in the others."""
        found = gate(run_of([1] * 10), run_of([1] * 100))
        assert only(found) == ("different-data", 3)
        assert "the run has 10 of the baseline's 100 outcomes" in found.rows[0].sentence
        assert only(gate(run_of([1] * 100), run_of([1] * 10))) == ("pass", 0)

    def test_another_way_to_measure(self) -> None:
        found = gate(run_of([1] * 100, method="two steps"), run_of([0] * 50 + [1] * 50))
        assert only(found) == ("incomparable", 3)
        assert "measured in another way than in the baseline" in found.rows[0].sentence

    def test_samples_that_do_not_count_are_not_lacking(self) -> None:
        sparse = run_of([1] * 10 + [math.nan] * 90)
        assert only(gate(sparse, sparse)) == ("pass", 0)

    def test_a_metric_without_a_better_direction(self) -> None:
        assert only(gate(run_of([1] * 3, direction="neither"), run_of([1] * 3))) == ("incomparable", 3)

    def test_a_metric_that_means_something_else_now(self) -> None:
        assert only(gate(run_of([1] * 3, direction="lower"), run_of([1] * 3))) == ("incomparable", 3)
