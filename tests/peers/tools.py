"""Each tool's attacks under one signature: (problem, batch_size, seed, short) -> examples, shape of `problem.x`.

`short` asks for a small part of the iterations, enough to see which batch size suits the tool.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import foolbox
import numpy as np
import torch
import torchattacks
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from problems import Problem
from pyautoattack import AutoAttack
from torch import Tensor, nn

from bench.attacks.attack import Attack, AttackResult, create
from bench.attacks.curve import curve

Tool = Callable[[Problem, int, int, bool], Tensor]

STEP = 0.01
STEPS = 40
FEW_STEPS = 10


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # ART draws from it


def in_batches(attack: Callable[[Tensor, Tensor], Tensor], problem: Problem, batch_size: int) -> Tensor:
    pairs = zip(problem.x.split(batch_size), problem.y.split(batch_size), strict=True)
    return torch.cat([attack(x, y) for x, y in pairs])


def ours(problem: Problem, attack: Attack, batch_size: int) -> AttackResult:
    return attack(problem.model, problem.x, problem.y, batch_size=batch_size)


def pgd_attack(problem: Problem, seed: int, steps: int = STEPS) -> Attack:
    return create("pgd", norm=problem.norm, epsilon=problem.epsilon, seed=seed, steps=steps, step_size=STEP)


def our_pgd(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    return ours(problem, pgd_attack(problem, seed, FEW_STEPS if short else STEPS), batch_size).x_adv


def our_curve(problem: Problem, epsilons: list[float], batch_size: int) -> tuple[Tensor, float]:
    """Examples at each radius, shape (k, n, ...), and the gradients that all of them took together."""
    attack = pgd_attack(problem, seed=0)
    pairs = zip(problem.x.split(batch_size), problem.y.split(batch_size), strict=True)
    ids = iter([str(index) for index in range(len(problem.x))])
    parts = [
        curve(attack, problem.model, x, y, epsilons=epsilons, ids=[next(ids) for _ in range(len(x))]) for x, y in pairs
    ]
    return torch.cat([part.examples for part in parts], 1), sum(float(part.backwards.sum()) for part in parts)


def our_autoattack(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    if short:
        for name, options in (("apgd-ce", {"steps": FEW_STEPS}), ("square", {"queries": 5 * FEW_STEPS})):
            attack = create(name, norm=problem.norm, epsilon=problem.epsilon, seed=seed, **options)
            examples = ours(problem, attack, batch_size).x_adv
        return examples
    attack = create("autoattack", norm=problem.norm, epsilon=problem.epsilon, seed=seed, version="standard")
    return ours(problem, attack, batch_size).x_adv


def our_parts(problem: Problem, batch_size: int, steps: int, queries: int) -> None:
    """The parts of AutoAttack standard, one after the other, each on all images."""
    parts = [(name, {"steps": steps}) for name in ("apgd-ce", "apgd-t", "fab-t")]
    for name, options in [*parts, ("square", {"queries": queries, "rescale": False})]:
        attack = create(name, norm=problem.norm, epsilon=problem.epsilon, **options)
        result = ours(problem, attack, batch_size)
        assert not bool(result.success.any()), "the ball was to be too small for any image"


def our_carlini_wagner(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    steps = 1000 if short else 10000  # foolbox's default
    attack = create("cw-l2", norm="l2", epsilon=math.inf, seed=seed, steps=steps)
    return ours(problem, attack, batch_size).x_adv


def our_deepfool(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    return ours(problem, create("deepfool", norm="l2", epsilon=math.inf, seed=seed), batch_size).x_adv


def foolbox_pgd(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    seeded(seed)
    model = foolbox.PyTorchModel(problem.model, bounds=(0, 1), device="cpu")
    steps = FEW_STEPS if short else STEPS
    attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=steps, random_start=True)
    return in_batches(lambda x, y: attack(model, x, y, epsilons=problem.epsilon)[1], problem, batch_size)


def torchattacks_pgd(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    seeded(seed)
    steps = FEW_STEPS if short else STEPS
    attack = torchattacks.PGD(problem.model, eps=problem.epsilon, alpha=STEP, steps=steps, random_start=True)
    return in_batches(attack, problem, batch_size)


def art_pgd(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    seeded(seed)
    estimator = PyTorchClassifier(
        model=problem.model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(problem.x.shape[1:]),
        nb_classes=10,
        clip_values=(0, 1),
        device_type="cpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        estimator,
        norm=np.inf,
        eps=problem.epsilon,
        eps_step=STEP,
        max_iter=FEW_STEPS if short else STEPS,
        num_random_init=1,
        batch_size=batch_size,
        verbose=False,
    )
    return torch.from_numpy(attack.generate(problem.x.numpy(), problem.y.numpy()))


def pyautoattack_standard(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    logging.getLogger("auto-attack").setLevel(logging.ERROR)  # its warning that Square broke more points than the rest
    norm = {"linf": "Linf", "l2": "L2"}[problem.norm]
    attack = AutoAttack(problem.model, norm=norm, eps=problem.epsilon, seed=seed, device="cpu")
    if short:
        attack.apgd.n_iter = FEW_STEPS
        attack.attacks_to_run = ["apgd-ce", "square"]
        attack.square.n_queries = 5 * FEW_STEPS
    return attack.run_standard_evaluation(problem.x, problem.y, batch_size=batch_size)[0]


def foolbox_carlini_wagner(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    attack = foolbox.attacks.L2CarliniWagnerAttack(steps=1000 if short else 10000)  # its default: minutes
    return _foolbox_minimal(attack, problem, batch_size)


def foolbox_deepfool(problem: Problem, batch_size: int, seed: int, short: bool) -> Tensor:
    return _foolbox_minimal(foolbox.attacks.L2DeepFoolAttack(), problem, batch_size)


def _foolbox_minimal(attack: foolbox.attacks.base.MinimizationAttack, problem: Problem, batch_size: int) -> Tensor:
    model = foolbox.PyTorchModel(problem.model, bounds=(0, 1), device="cpu")
    return in_batches(lambda x, y: attack(model, x, y, epsilons=None)[1], problem, batch_size)


PGD: dict[str, Tool] = {
    "bench": our_pgd,
    "foolbox": foolbox_pgd,
    "torchattacks": torchattacks_pgd,
    "ART": art_pgd,
}
AUTOATTACK: dict[str, Tool] = {"bench": our_autoattack, "pyautoattack": pyautoattack_standard}
MINIMAL: dict[str, dict[str, Tool]] = {
    "Carlini-Wagner": {"bench": our_carlini_wagner, "foolbox": foolbox_carlini_wagner},
    "DeepFool": {"bench": our_deepfool, "foolbox": foolbox_deepfool},
}
