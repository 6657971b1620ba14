"""Behaviour changes only together with a component's version."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests import golden

STORED: dict[str, Any] = json.loads(golden.FILE.read_text())
ALL = [(kind, name) for kind, of in golden.KINDS.items() for name in of.names]


def same(found: Any, stored: Any) -> bool:
    """Equal, numbers within one part in a thousand: other processors round otherwise."""
    if isinstance(found, dict):
        return found.keys() == stored.keys() and all(same(found[key], stored[key]) for key in found)
    if isinstance(found, list):
        return len(found) == len(stored) and all(map(same, found, stored))
    if isinstance(found, float):
        return math.isclose(found, stored, rel_tol=1e-3, abs_tol=1e-5)
    return bool(found == stored)


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}/{name}" for kind, name in ALL])
def test_behaviour_is_that_of_the_declared_version(kind, name) -> None:
    again = "run `python -m tests.golden` and commit tests/golden.json"
    assert f"{kind}/{name}" in STORED, f"a new component: {again}"
    stored, of = dict(STORED[f"{kind}/{name}"]), golden.KINDS[kind]
    figures = stored.pop("figures")
    assert stored == of.version(name), f"a version was raised: {again}"
    assert same(of.figures(name), figures), f"behaviour changed: raise the version of {name}, then {again}"


def test_nothing_is_stored_that_is_gone() -> None:
    assert set(STORED) == {f"{kind}/{name}" for kind, name in ALL}
