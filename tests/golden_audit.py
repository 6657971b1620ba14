"""What checks of an audit and the rescue do on tiny fixed cases: counts and grades, which rounding leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.attacks.catalogue import ATTACKS
from bench.attacks.curve import ATTACKED
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.threat import Norm, Threat
from bench.audit.case import Case, Chosen
from bench.audit.catalogue import CHECKS, RESCUE_USES, RESCUE_VERSION
from bench.audit.finding import Found, Probed
from bench.audit.rescue import rescue
from bench.defenses.stage import Stage
from tests.golden_masks import (
    RADII,
    Fickle,
    Flickering,
    Net,
    Rounded,
    Shelled,
    case_of,
    cut,
    few,
    half,
    resting,
    saturated_softmax,
    scaled,
    softmax,
    stopped,
)

Figures = dict[str, Any]


class Call(NamedTuple):
    """What a check is called with.

    Attributes:
        case: The case; None for a check that needs no model.
        options: Its options.
        earlier: What an earlier check left, for a check that comes after one.
    """

    case: Case | None
    options: Mapping[str, Any] = {}
    earlier: Probed | None = None


def losing(model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, *, threat: Threat, draws: Draws) -> Tensor:
    """An attack that steps back at the end and returns where it is then."""
    point = x.clone()
    for step in range(6):
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(goal.loss(model(point)).sum(), point)
        point = threat.project(point.detach() + (1 if step < 5 else -9) * threat.epsilon / 4 * gradient.sign(), x)
    return point


LOSING = {"name": f"{__name__}:losing", "options": {}}
KINDS = [("fgsm", "lesser"), ("pgd", "gradient")]
SQUARE = {"name": "square", "options": {"queries": 5}}


def pgd(**options: Any) -> dict[str, Any]:
    """PGD as an attack of an evaluation."""
    return {"name": "pgd", "options": {"steps": 20, "start": "clean", "restarts": 1, **options}}


def following(model: Net, norm: Norm, *, count: int = 120, alone: int = 1) -> Call:
    """A case after a better attack, which broke every seventh of the nearest samples, and after two of an evaluation.

    The first of these two is the lesser one and broke more; so many fell to the second alone.
    """
    case = case_of(model, norm=norm, times=4.0, count=count)
    took, by_gradient = np.zeros_like(case.broken), np.zeros_like(case.broken)
    for level in range(2):
        chosen = case.nearest(40, level)
        took[level, chosen], by_gradient[level, chosen[::7]] = True, True
    one, many = np.zeros_like(case.broken), np.zeros_like(case.broken)
    one[:, :90], many[:, 80 : 90 + alone] = case.correct[:90], case.correct[80 : 90 + alone]
    case.fell = [one, many]
    return Call(case, {}, Probed((), found=Found(took.shape), took=took, by_gradient=by_gradient))


def one_step(case: Case, model: Net, level: int, chosen: Chosen) -> Tensor:
    """Examples of some samples: one step along the gradient of a model."""
    x, y = case.batch(chosen)
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(point), y), point)
    return (x + case.epsilons[level] * gradient.sign() / (36 if case.norm == "l1" else 1)).clamp(*case.box)


def planting(
    attack: Mapping[str, Any], norm: Norm = "linf", *, targeted: bool = False, epsilon: float | None = None
) -> Call:
    """The self-test of an attack."""
    radius = RADII[norm][1] if epsilon is None else epsilon
    ball = {"norm": norm, "epsilons": [radius], "box": (0.0, 1.0), "shape": (1, 6, 6), "targeted": targeted}
    return Call(None, {**attack, **ball})


def check_calls(name: str) -> dict[str, Call]:
    """What a check is called with, by a word for what it looks at."""
    calls: dict[str, Callable[[], dict[str, Call]]] = {
        "gradients": gradients_calls,
        "answers": answers_calls,
        "radii": lambda: {
            "half": Call(case_of(Net(half))),
            "shelled": Call(case_of(Shelled())),
            "l1": Call(case_of(Net(half), norm="l1")),
        },
        "rescaled": lambda: {
            **{norm: Call(case_of(Net(after=scaled(1000.0)), norm=norm, times=2.0)) for norm in RADII},
            "less": Call(case_of(Net(after=scaled(300.0)), times=5.0)),
        },
        "stronger": lambda: {
            **{norm: Call(case_of(Net(), norm=norm)) for norm in RADII},
            "targeted": Call(case_of(Net(), times=4.0, targeted=True)),
            "half": Call(case_of(Net(half))),
            "few": Call(few(case_of(Net(), count=800), 3)),
        },
        "gradient-free": lambda: {
            "linf": following(Net(stopped), "linf")._replace(options={"attacks": KINDS}),
            "l1": following(Net(stopped), "l1", alone=7)._replace(options={"attacks": KINDS}),
        },
        "transfer": transfer_calls,
        "watched": lambda: {
            "half": Call(case_of(Net(half), times=0.3), {**pgd(start="random"), "cost": 60.0}),
            "short": Call(case_of(Net(half), norm="l2"), {**pgd(step_size=0.0001), "cost": 60.0}),
            "losing": Call(case_of(Net(), times=8.0), {**LOSING, "cost": 20.0}),
        },
        "planted": lambda: {
            "short of the bump": planting(pgd(step_size=0.00002)),
            "short of the boundary": planting(pgd(step_size=0.00015)),
            "just beyond it": planting(pgd(step_size=0.00017)),
            "short of the box": planting(pgd(step_size=0.035), epsilon=3.0),
            "targeted": planting(pgd(), "l2", targeted=True),
            "l1": planting({"name": "l1-apgd", "options": {"steps": 20}}, "l1"),
            "without gradients": planting({"name": "square", "options": {"queries": 8}}),
            "losing": planting(LOSING),
            "control": planting({"name": "noise", "options": {}}),
        },
        "more-steps": lambda: {
            "steps": Call(case_of(Net()), {**pgd(steps=2, step_size=0.0005), "what": "steps"}),
            "queries": Call(case_of(Net(), norm="l2"), {**SQUARE, "what": "queries"}),
        },
        "more-restarts": lambda: {
            "restarts": Call(case_of(Net(), times=2.0), {**pgd(steps=2, step_size=0.0005), "what": "restarts"})
        },
        "autoattack": lambda: {"half": Call(few(case_of(Net(half), count=16, times=12.0), 4))},
        "gradient-free-long": lambda: {"stopped": following(Net(stopped), "linf", count=16)},
    }
    return calls[name]()


def gradients_calls() -> dict[str, Call]:
    return {
        "half": Call(case_of(Net(half))),
        "resting": Call(case_of(Net(resting))),
        "declared": Call(case_of(Net(Stage(half)), bpda=True)),
        "saturated": Call(case_of(Net(after=scaled(100.0)), norm="l2")),
        "cut": Call(case_of(Net(cut))),
        "targeted": Call(case_of(Net(half, scaled(100.0)), norm="l1", targeted=True)),
    }


def answers_calls() -> dict[str, Call]:
    training = Net(after=softmax)
    training.layers = nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(2)).train()
    return {
        "random": Call(case_of(Flickering())),
        "fickle": Call(case_of(Fickle())),
        "training": Call(case_of(training, box=(0.0, 20.0))),
    }


def transfer_calls() -> dict[str, Call]:
    call = following(Net(half), "linf")
    assert call.case is not None
    case = call.case
    return {
        "open": call._replace(
            options={"others": [("open", lambda level, chosen: one_step(case, Net(), level, chosen))]}
        )
    }


def check_figures(name: str) -> Figures:
    """Findings of a check, how many samples it took and broke at each radius, and the passes it made."""
    return {label: checked_figures(name, call) for label, call in check_calls(name).items()}


def checked_figures(name: str, call: Call) -> Figures:
    checked = CHECKS[name].load()(*(given for given in (call.case, call.earlier) if given is not None), **call.options)
    figures: Figures = {
        "findings": [
            [finding.name, finding.level, finding.effect, float(finding.value)] for finding in checked.findings
        ]
    }
    if checked.found is not None:
        figures["found"] = counts(checked.found.flags)
    if isinstance(checked, Probed):
        figures |= {"took": counts(checked.took), "by gradient": counts(checked.by_gradient)}
    return figures if call.case is None else {**figures, **call.case.spent}


def counts(flags: NDArray[np.bool_]) -> list[int]:
    """How many samples are marked at each radius."""
    return [int(row.sum()) for row in flags]


def check_version(name: str) -> Figures:
    """What names a check in a key, as far as its figures depend on it: its version and those of the attacks it runs."""
    attacks = {call.options["name"] for call in check_calls(name).values() if "name" in call.options} & set(ATTACKS)
    return named(CHECKS[name].version, {*CHECKS[name].traits.get("uses", ()), *attacks})


def named(version: int, attacks: set[str]) -> Figures:
    return {"version": version, "uses": {attack: ATTACKS[attack].version for attack in sorted(attacks)}}


def rescue_version(name: str) -> Figures:
    """The same of the rescue."""
    return named(RESCUE_VERSION, set(RESCUE_USES))


def rescue_figures(name: str) -> Figures:
    """What was tried on masked models and on one that is not, what fell to it, and the passes it took."""
    cases = {
        "scaled": few(case_of(Net(Rounded(), scaled(1000.0)), times=12.0), 5),
        "probabilities": few(case_of(Net(Stage(stopped), saturated_softmax), norm="l2", times=12.0), 5),
        "random": few(case_of(Flickering(), times=12.0), 5),
        "targeted": few(case_of(Net(Stage(half)), times=4.0, targeted=True), 5),
        "l1": few(case_of(Net(half, scaled(6.0)), norm="l1", times=4.0), 5),
        "transfer": few(case_of(Net(cut, scaled(12.0)), times=0.3), 5),
        "transfer l1": few(case_of(Net(cut), norm="l1", times=0.5), 12),
        "not masked": few(case_of(Net(), times=4.0), 5),
    }
    return {label: rescued_figures(case, masked=label != "not masked") for label, case in cases.items()}


def rescued_figures(case: Case, *, masked: bool) -> Figures:
    everyone, standing = np.arange(len(case.ids)), np.flatnonzero(~case.broken[1])
    known = Found(case.broken.shape)
    known.add(1, standing[:2], np.array([True, True]), one_step(case, Net(), 1, standing[:2]).numpy())
    tried = rescue(case, *case.batch(everyone), [known], [("open", Net())], masked=masked)
    reached = [
        case.verified(everyone, examples, epsilon).reached
        for examples, epsilon in zip(tried.examples, case.epsilons, strict=True)
    ]
    return {
        "tried": tried.names,
        "broken": [int((row.numpy() & ~before).sum()) for row, before in zip(reached, case.broken, strict=True)],
        "attacked": counts(tried.known == ATTACKED),
        "forwards": float(tried.costs[0].sum()),
        "backwards": float(tried.costs[1].sum()),
    }
