"""Generated suites with something wrong in them: each ends with exit code 2 and places, none with a traceback."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.suite.yaml_source import parse

LINE = re.compile(r"^[^\n:]+:[0-9]+:[0-9]+: \S.*$")
NAMES = (
    "kind",
    "arch",
    "recipe",
    "source",
    "data",
    "norm",
    "target",
    "models",
    "attacks",
    "metrics",
    "surrogates",
    "row",
)
REQUIRED = {
    "suite", "data", "source", "kind", "recipe", "models", "surrogates", "victims", "threat", "attacks", "norm",
    "epsilon", "metrics", "row", "value",
}  # fmt: skip
ANYTHING_GOES = {
    "description",
    "path",
    "x",
    "weights",
    "samples",
    "args",
    "value",
    "min",
    "max",
    "equals",
    "trade_off",
    "size",
    "hidden",
}
DEFAULTED = {("models", "wide", "train", "norm"), ("evaluations", "whitebox", "metrics")}
FREE = {"args", "mypackage.metrics:drop"}
TREES = {"wide": {"unexpected": [[]]}, "nested": [[["x"]]], "yes": True, "text": "no such thing", "negative": -7}

Path_ = tuple[str | int, ...]


def places(tree: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value of a tree with its path."""
    yield path, tree
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from places(value, (*path, key))


def changed(tree: Any, path: Path_, change: Callable[[Any, Any], None]) -> Any:
    """A copy of the tree after `change(parent, key)`."""
    result = copy.deepcopy(tree)
    parent = result
    for part in path[:-1]:
        parent = parent[part]
    change(parent, path[-1])
    return result


@st.composite
def wrong_trees(draw: st.DrawFn, tree: Any) -> str:
    """A suite with one value, key or name that cannot be right."""
    everything = [(path, value) for path, value in places(tree) if path]
    inside = [
        (path, value) for path, value in everything if not ANYTHING_GOES & set(path) and path != ("quoted", 0, "source")
    ]
    how = draw(st.sampled_from(["type", "unknown key", "missing", "name", "empty list", "repeated", "number", "root"]))
    if how == "type":
        path, _ = draw(st.sampled_from(inside))
        wrong = changed(
            tree, path, lambda parent, key: parent.__setitem__(key, draw(st.sampled_from(list(TREES.values()))))
        )
    elif how == "unknown key":
        blocks = [(path, value) for path, value in places(tree) if isinstance(value, dict) and not FREE & set(path)]
        path, value = draw(st.sampled_from(blocks))
        key = draw(st.text(min_size=1, max_size=9).filter(lambda text: text not in value and text != "as"))
        wrong = changed(tree, (*path, key), lambda parent, name: parent.__setitem__(name, 7))
    elif how == "missing":
        needed = [path for path, _ in inside if path[-1] in REQUIRED and path not in DEFAULTED]
        path = draw(st.sampled_from(needed))
        wrong = changed(tree, path, lambda parent, key: parent.__delitem__(key))
    elif how == "name":
        named = [path for path, value in inside if isinstance(value, str) and path[-1] in NAMES + tuple(range(9))]
        word = draw(st.text(max_size=30).filter(lambda text: text not in everything and ":" not in text))
        wrong = changed(tree, draw(st.sampled_from(named)), lambda parent, key: parent.__setitem__(key, f"{word}?"))
    elif how == "empty list":
        lists = [path for path, value in inside if isinstance(value, list) and path[-1] not in ("expect", "quoted")]
        wrong = changed(tree, draw(st.sampled_from(lists)), lambda parent, key: parent.__setitem__(key, []))
    elif how == "repeated":
        axes = [
            p for p, value in inside if p[-1] in ("models", "attacks", "metrics", "epsilon") and isinstance(value, list)
        ]
        wrong = changed(tree, draw(st.sampled_from(axes)), lambda parent, key: parent[key].append(parent[key][0]))
    elif how == "number":
        numbers = [path for path, value in everything if isinstance(value, int | float)]
        extreme = draw(st.sampled_from([float("inf"), float("nan"), float("-inf"), 2**64, -(2**64), 10**80]))
        wrong = changed(tree, draw(st.sampled_from(numbers)), lambda parent, key: parent.__setitem__(key, extreme))
    else:
        wrong = draw(st.sampled_from([[tree], None, 7, "suite", [], {}, {"suite": "x"}]))
    if draw(st.booleans()):
        return yaml.safe_dump(wrong, sort_keys=False, allow_unicode=draw(st.booleans()), width=60)
    return json.dumps(wrong).replace("NaN", ".nan").replace("Infinity", ".inf")


@st.composite
def wrong_texts(draw: st.DrawFn, text: str) -> bytes:
    """A suite whose text cannot be read, or holds what no suite may."""
    content = text.encode()
    at = draw(st.integers(0, len(content)))
    depth = draw(st.integers(45, 3000))
    lines = text.splitlines()
    return draw(
        st.sampled_from(
            [
                content[:at] + draw(st.sampled_from([b"\x00", b"\x07", b"\x1b", b"\xff", b"\xc3\x28", b"\xed\xa0\x80"])) + content[at:],
                content + draw(st.sampled_from([b"more: [1", b"more: {a: 1", b'more: "open', b"\tmore: 1", b"more: 'x", b"]"])),
                content + b"more: " + b"[" * depth + b"]" * depth,
                content + b"more: " + b"{a: " * depth + b"1" + b"}" * depth,
                content + b"---\n" + content,
                content + f"{draw(st.sampled_from(lines[:5]))}\n".encode(),
                content.replace(b"mnist", draw(st.sampled_from([b"!!python/name:os.system", b"!x mnist", b"*nowhere"])), 1),
                content.replace(b"seed: 3", b"seed: &s [*s]", 1),
                content.replace(b"seed: 3", b"<<: {seed: 3}", 1),
                content.replace(b"seed: 3", b'seed: "\\UFFFFFFFF"', 1),
                content.replace(b"seed: 3", b"? [a]\n: 3", 1),
                b"%YAML 9" + b"9" * depth + b".1\n---\n" + content,
                content.replace(b":", b"", 1),
                content[: content.index(b"epsilon: [") + draw(st.integers(10, 14))],
                b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
                    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9)) for i in range(9)
                ) + content,
                draw(st.binary(max_size=200)),
                draw(st.text(max_size=200)).encode(),
            ]
        )
    )  # fmt: skip


@pytest.fixture(scope="session")
def suite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the generated suites are written."""
    return tmp_path_factory.mktemp("malformed") / "s.yaml"


SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
COMMANDS = ("check", "plan")


def assert_refused(ended: Any) -> None:
    assert ended.code == 2, ended
    *problems, last = ended.err.splitlines()
    assert problems, ended.err
    for line in problems:
        assert LINE.match(line), line
        assert len(line) < 500, line
    count = len(problems)
    assert last == f"{count} mistake{'s' if count > 1 else ''}; nothing was run"
    assert "Traceback" not in ended.err
    assert ended.out == ""


@settings(SETTINGS, max_examples=200)
@given(data=st.data())
def test_every_malformed_suite_is_refused_with_places(
    data: st.DataObject, suite_file: Path, valid: str, bench: Any
) -> None:
    strategies = [wrong_texts(valid), wrong_trees(parse(valid, "valid").value).map(str.encode)]
    suite_file.write_bytes(data.draw(st.one_of(strategies)))
    assert_refused(bench(data.draw(st.sampled_from(COMMANDS)), str(suite_file)))
