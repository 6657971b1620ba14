"""What masks a network, and what a check found of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bench.audit.case import Case
from bench.audit.finding import Checked, Finding

CaseOf = Callable[..., Case]


def stopped(x: Tensor) -> Tensor:
    return x.detach() + 0 * x


def cut(x: Tensor) -> Tensor:
    return x.detach()


def noisy(x: Tensor) -> Tensor:
    return x + 0.2 * torch.rand_like(x)


def found(checked: Checked) -> Mapping[str, Finding]:
    return {finding.name: finding for finding in checked.findings}


def effects(checked: Checked) -> set[str]:
    return {finding.effect for finding in checked.findings} - {""}
