"""`--set`: what it changes, and what it says of assignments that cannot be made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.suite.check import check

Mistakes = Callable[..., list[str]]


def test_a_key_is_set(valid: str) -> None:
    suite = check(valid, "s.yaml", ["seed=7", "data.digits.take=5", "models.softmax.trials=3"])
    assert suite.seed == 7
    assert suite.data["digits"].options.take == 5
    assert suite.models["softmax"].block.trials == 3
    assert suite.overrides == ("seed=7", "data.digits.take=5", "models.softmax.trials=3")


def test_values_are_yaml_and_positions_pick_entries(valid: str) -> None:
    assignments = [
        "evaluations.whitebox.attacks.1.pgd.steps=9",
        "evaluations.transfer.threat.epsilon=[8/255, 1e-1]",
        "evaluations.modes.metrics=[modes]",
        "description='on'",
    ]
    suite = check(valid, "s.yaml", assignments)
    assert suite.evaluations["whitebox"].attacks[1].options["steps"] == 9  # type: ignore[union-attr]
    assert suite.evaluations["transfer"].threat.epsilon == [8 / 255, 0.1]  # type: ignore[union-attr]
    assert [use.name for use in suite.evaluations["modes"].metrics] == ["modes"]  # type: ignore[union-attr]
    assert suite.description == "on"


def test_a_block_is_added_whole(valid: str) -> None:
    suite = check(valid, "s.yaml", ["data.more={source: mnist}", "data.more.take=3", "evaluations.transfer.data=more"])
    assert suite.data["more"].options.take == 3


def test_a_name_may_hold_dots(valid: str) -> None:
    text = (
        valid.replace("  digits:", "  digits.v1:")
        .replace("data: digits", "data: digits.v1")
        .replace("/digits", "/digits.v1")
    )
    assert check(text, "s.yaml", ["data.digits.v1.take=4"]).data["digits.v1"].options.take == 4


def test_the_last_of_two_assignments_holds(valid: str) -> None:
    assert check(valid, "s.yaml", ["seed=7", "seed=8"]).seed == 8


ATTACKS = "evaluations.whitebox.attacks"
POSITION = "'evaluations.whitebox.attacks' is a list of 3; expected a position from 0 to 2"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("seed", "1:1: expected KEY=VALUE with names joined by dots, such as data.mnist.take=100"),
        ("=1", "1:1: expected KEY=VALUE with names joined by dots, such as data.mnist.take=100"),
        ("a..b=1", "1:1: expected KEY=VALUE with names joined by dots, such as data.mnist.take=100"),
        ("seed=x", "1:1: seed: expected a whole number, found 'x'"),
        ("seed=", "1:1: seed: expected a whole number, found nothing"),
        ("sed=1", "1:1: sed: unknown key 'sed'; did you mean 'seed'?"),
        ("data.digits.tke=1", "1:1: data.digits.tke: unknown key 'tke'; did you mean 'take'?"),
        ("data.digist.take=1", "1:1: data.digist.take: there is no 'digist' in 'data'; did you mean 'digits'?"),
        ("modles.wide.trials=1", "1:1: modles.wide.trials: there is no 'modles' in the suite; did you mean 'models'?"),
        ("data.digits.take.x=1", "1:1: data.digits.take.x: 'data.digits.take' is 40, which holds no keys"),
        (f"{ATTACKS}.3=pgd", f"1:1: {ATTACKS}.3: {POSITION}, found '3'"),
        (f"{ATTACKS}.²=pgd", f"1:1: {ATTACKS}.²: {POSITION}, found '²'"),
        (f"{ATTACKS}.-1=pgd", f"1:1: {ATTACKS}.-1: {POSITION}, found '-1'"),
        (f"{ATTACKS}.0=fgms", f"1:1: {ATTACKS}.0: unknown attack 'fgms'; did you mean 'fgsm'?"),
        ("models.wide.trian.data=grid", "1:1: models.wide.trian: unknown key 'trian'; did you mean 'train'?"),
        ("models.wide.train.epsilon=-1", "1:1: models.wide.train.epsilon: expected a number above 0, found -1"),
    ],
)  # fmt: skip
def test_mistakes_name_the_assignment(valid: str, mistakes: Mistakes, assignment: str, expected: str) -> None:
    assert mistakes(valid, assignment) == [f"--set {assignment}:{expected}"]


def test_mistakes_of_the_value_as_yaml(valid: str, mistakes: Mistakes) -> None:
    (message,) = mistakes(valid, "seed=[1")
    assert message.startswith("--set seed=[1:1:3: not valid YAML: expected ',' or ']', but got the end of the file")


def test_all_mistakes_of_all_assignments_and_the_file_at_once(valid: str, mistakes: Mistakes) -> None:
    text = valid.replace("take: 100", "take: 0")
    assert mistakes(text, "seed=x", "data.digits={source: mnist, take: 0}", "data.digits.skip=-1") == [
        "--set data.digits.skip=-1:1:1: data.digits.skip: expected a number of at least 0, found -1",
        "--set data.digits={source: mnist, take: 0}:1:1: data.digits.take: expected a number of at least 1, found 0",
        "--set seed=x:1:1: seed: expected a whole number, found 'x'",
        "s.yaml:6:63: data.train-digits.take: expected a number of at least 1, found 0",
    ]


def test_a_section_replaced_by_nonsense_is_one_mistake(valid: str, mistakes: Mistakes) -> None:
    assert mistakes(valid, "data=5") == ["--set data=5:1:1: data: expected a mapping, found 5"]


def test_what_cannot_be_printed_does_not_break_the_line(valid: str, mistakes: Mistakes) -> None:
    (message,) = mistakes(valid, "suite='a\nb'")
    assert "\n" not in message
    assert "expected a name of letters" in message
