"""Behaviour changes only together with a component's version."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location("golden", Path(__file__).with_name("golden.py"))
assert _spec is not None
assert _spec.loader is not None
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

STORED: dict[str, Any] = json.loads(golden.FILE.read_text())
ALL = [(kind, name) for kind, (catalogue, _) in golden.CASES.items() for name in catalogue]


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
    catalogue, compute = golden.CASES[kind]
    again = "run `python tests/golden.py` and commit tests/golden.json"
    assert f"{kind}/{name}" in STORED, f"a new component: {again}"
    stored = STORED[f"{kind}/{name}"]
    assert stored["version"] == catalogue[name].version, f"the version was raised: {again}"
    assert same(compute(name), stored["figures"]), f"behaviour changed: raise the version of {name}, then {again}"


def test_nothing_is_stored_that_is_gone() -> None:
    assert set(STORED) == {f"{kind}/{name}" for kind, name in ALL}
