"""Trials of one model that are trained as one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from bench.engine.task import Task
from bench.models.catalogue import MODELS
from bench.training.catalogue import RECIPES


def joined(tasks: Iterable[Task]) -> list[Task]:
    """The tasks, with those that differ in nothing but the trial as one where recipe and architecture can do that."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        facts = {**task.work, "trial": None, "job": task.kind, "inputs": dict(task.inputs)}
        groups.setdefault(json.dumps(facts, sort_keys=True) if stackable(task) else task.id, []).append(task)
    return [group[0] if len(group) == 1 else _one(group) for group in groups.values()]


def stackable(task: Task) -> bool:
    """Whether several trials of a task can be trained together.

    >>> work = {"recipe": {"name": "packed-gan"}, "model": {"arch": {"name": "gan-grid"}}}
    >>> stackable(Task("train/gan/0", "train", work, {}, "here"))
    True
    """
    if task.kind != "train" or "arch" not in task.work["model"]:
        return False
    recipe, architecture = RECIPES[task.work["recipe"]["name"]], MODELS[task.work["model"]["arch"]["name"]]
    return bool(recipe.traits.get("together") and architecture.traits.get("stackable"))


def _one(group: list[Task]) -> Task:
    parts = [{"id": task.id, "trial": task.work["trial"], "output": task.output} for task in group]
    return replace(group[0], together=parts)
