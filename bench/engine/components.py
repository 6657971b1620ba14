"""The pieces of users' code that a job runs, named in its work by where they can be imported from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.catalogue import is_import_name
from bench.hashing import digest
from bench.manifest.component import Component

_ROLES = {"attack": "attack", "metric": "metric", "defenses": "defense", "model": "model", "network": "model"}
"""Role by the key of a job's work that the component stands under."""


def components(kind: str, work: Mapping[str, Any]) -> list[Component]:
    """The components that a job runs.

    Args:
        kind: The job's kind.
        work: What it does.

    >>> [found.label for found in components("attack", {"model": {"load": "toy:linear", "args": {}}})]
    ['model toy:linear']
    """
    found = list(_inside(work, ""))
    if kind == "data":
        source = str(work["source"])
        code = source if is_import_name(source) else "torchvision.datasets:" + str(work["options"]["dataset"])
        found.append(Component("data", code, work["options"], tuple(work.get("uses", ()))))
    unique: dict[str, Component] = {}
    for component in found:
        unique.setdefault(repr(component), component)
    return list(unique.values())


def _inside(value: Any, role: str) -> Iterator[Component]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _inside(each, role)
    elif isinstance(value, Mapping):
        uses = tuple(value.get("uses") or ())
        load, name = value.get("load"), value.get("name")
        if isinstance(load, str) and is_import_name(load):
            yield Component("model", load, value.get("args"), uses)
        elif role and isinstance(name, str) and is_import_name(name) and "options" in value:
            yield Component(role, name, value["options"], uses)
        for key, each in value.items():
            if key in ("args", "options"):
                continue
            yield from _inside(each, _ROLES.get(key, ""))


def world_name(kind: str, work: Mapping[str, Any]) -> str:
    """Names the components that a job runs; empty where all its code is of this package."""
    found = components(kind, work)
    return digest(sorted(repr((c.role, c.code, c.given, tuple(c.uses))) for c in found)) if found else ""
