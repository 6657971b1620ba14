"""Doing one job. Torch is imported here and below, and nowhere else in the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.engine.work import audit, build, classify, generate, reconstruct, train
from bench.engine.work.train import Made
from bench.engine.work.workplace import Workplace

Work = Mapping[str, Any]

JOBS: Mapping[str, Callable[[Work, Workplace], Made]] = {
    "data": train.materialise,
    "build": build.build_model,
    "train": train.train,
    "attack": classify.attack,
    "verify": classify.judge,
    "score": classify.score,
    "redirect": reconstruct.redirect,
    "inspect": reconstruct.inspect,
    "sample": generate.sample,
    "measure": generate.measure,
    "audit": audit.audit,
    "rescue": audit.rescue,
}
