"""Generated suites with something wrong in them: each ends with exit code 2 and places, none with a traceback."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.suite.yaml_source import parse

LINE = re.compile(r"^[^\n:]+:[0-9]+:[0-9]+: \S.*$")
NAMES = ("kind", "arch", "recipe", "source", "data", "norm", "target", "row", *range(9))
REQUIRED = {
    "suite", "data", "source", "kind", "recipe", "models", "surrogates", "victims", "threat", "attacks", "norm",
    "epsilon", "metrics", "row", "value",
}  # fmt: skip
ANYTHING_GOES = {
    "description", "path", "x", "weights", "samples", "args", "value", "min", "max", "equals", "trade_off", "size",
    "hidden", "mypackage.metrics:drop",
}  # fmt: skip
DEFAULTED = {("models", "wide", "train", "norm"), ("evaluations", "whitebox", "metrics")}
FREE = {"args", "mypackage.metrics:drop"}
CITED = ("quoted", 0, "source")
TREES = [{"unexpected": [[]]}, [[["x"]]], True, "no such thing", -7]
AXES = ("models", "attacks", "metrics", "epsilon")

Place = tuple[str | int, ...]


def places(tree: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value of a tree with its path."""
    yield path, tree
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from places(value, (*path, key))


def changed(tree: Any, path: Place, change: Callable[[Any, Any], None]) -> Any:
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
    inside = [(path, value) for path, value in everything if not ANYTHING_GOES & set(path) and path != CITED]
    how = draw(st.sampled_from(["type", "unknown key", "missing", "name", "empty list", "repeated", "number", "root"]))
    if how == "type":
        (path, _), instead = draw(st.sampled_from(inside)), draw(st.sampled_from(TREES))
        wrong = changed(tree, path, lambda parent, key: parent.__setitem__(key, instead))
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
        named = [path for path, value in inside if isinstance(value, str) and path[-1] in NAMES]
        word = draw(st.text(max_size=30).filter(lambda text: text not in everything and ":" not in text))
        wrong = changed(tree, draw(st.sampled_from(named)), lambda parent, key: parent.__setitem__(key, f"{word}?"))
    elif how == "empty list":
        lists = [path for path, value in inside if isinstance(value, list) and path[-1] not in ("expect", "quoted")]
        wrong = changed(tree, draw(st.sampled_from(lists)), lambda parent, key: parent.__setitem__(key, []))
    elif how == "repeated":
        axes = [path for path, value in inside if path[-1] in AXES and isinstance(value, list)]
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


CONTROL = [b"\x00", b"\x07", b"\x1b", b"\xff", b"\xc3\x28", b"\xed\xa0\x80"]
OPEN = [b"more: [1", b"more: {a: 1", b'more: "open', b"\tmore: 1", b"more: 'x", b"]"]
TAGGED = [b"!!python/name:os.system", b"!x mnist", b"*nowhere"]
SEEDS = [b"seed: &s [*s]", b"<<: {seed: 3}", b'seed: "\\UFFFFFFFF"', b"? [a]\n: 3", b"seed 3"]


@st.composite
def wrong_texts(draw: st.DrawFn, text: str) -> bytes:
    """A suite whose text cannot be read, or holds what no suite may."""
    content = text.encode()
    at, depth = draw(st.integers(0, len(content))), draw(st.integers(45, 3000))
    laughs = [b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9)) for i in range(9)]
    choices = [
        content[:at] + draw(st.sampled_from(CONTROL)) + content[at:],
        content + draw(st.sampled_from(OPEN)),
        content + b"more: " + b"[" * depth + b"]" * depth,
        content + b"more: " + b"{a: " * depth + b"1" + b"}" * depth,
        content + b"---\n" + content,
        content + f"{draw(st.sampled_from(text.splitlines()[:5]))}\n".encode(),
        content.replace(b"mnist", draw(st.sampled_from(TAGGED)), 1),
        content.replace(b"seed: 3", draw(st.sampled_from(SEEDS)), 1),
        content[: content.index(b"epsilon: [") + draw(st.integers(10, 14))],
        b"%YAML 9" + b"9" * depth + b".1\n---\n" + content,
        b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(laughs) + content,
        draw(st.binary(max_size=200)),
        draw(st.text(max_size=200)).encode(),
    ]
    return draw(st.sampled_from(choices))


@pytest.fixture(scope="session")
def suite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the generated suites are written."""
    return tmp_path_factory.mktemp("malformed") / "s.yaml"


SETTINGS = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def assert_refused(ended: Any) -> None:
    assert ended.code == 2, ended
    assert ended.out == ""
    *problems, last = ended.err.splitlines()
    assert problems, ended.err
    for line in problems:
        assert LINE.match(line), line
        assert len(line) < 500, line
    assert last == f"{len(problems)} mistake{'s' * (len(problems) > 1)}; nothing was run"


@settings(SETTINGS, max_examples=200)
@given(data=st.data())
def test_every_malformed_suite_is_refused_with_places(
    data: st.DataObject, suite_file: Path, valid: str, bench: Any
) -> None:
    strategies = [wrong_texts(valid), wrong_trees(parse(valid, "valid").value).map(str.encode)]
    suite_file.write_bytes(data.draw(st.one_of(strategies)))
    assert_refused(bench(data.draw(st.sampled_from(["check", "plan"])), str(suite_file)))


ODD = [
    None, True, 0, -1, 1.5, 2**40, "", "a b", "é", "8/255", "-3/4", "10m", "pgd", "worst-case", "real-data", "a:b",
    "_x:_y", [], [[]], [1, 1], [None], ["x", "x"], {}, {"a": 1}, {"as": "x"}, {"pgd": None, "as": None},
    {"pgd": [], "as": "-"}, {"content_of": "x"}, "x" * 5000, "\n", "\x85", "\u2028", {"": ""},
    {"a:b": {"trade_off": "x"}}, {"a:b": {"trade_off": [1, None]}}, 1e308, 5e-324,
]  # fmt: skip


@settings(SETTINGS, max_examples=150)
@given(data=st.data())
def test_any_change_at_all_is_either_fine_or_refused_with_places(
    data: st.DataObject, suite_file: Path, valid: str, bench: Any
) -> None:
    tree = parse(valid, "valid").value
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path, _ in places(tree) if path]))
        odd = data.draw(st.sampled_from(ODD))
        key = data.draw(st.sampled_from([path[-1], str(odd)[:60]]))

        def change(parent: Any, last: Any, odd: Any = odd, key: Any = key) -> None:
            parent[last if isinstance(parent, list) else key] = copy.deepcopy(odd)

        tree = changed(tree, path, change)
    suite_file.write_text(json.dumps(tree))
    ended = bench("check", str(suite_file))
    if ended.code == 0:
        assert "is well formed" in ended.out
    else:
        assert_refused(ended)


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize("content", [b"\x00\xff", b"a: [" * 3000])
def test_malformed_suites_in_a_process_of_their_own(
    suite_file: Path, command: str, content: bytes, bench_apart: Any
) -> None:
    suite_file.write_bytes(content)
    assert_refused(bench_apart(command, suite_file.name, folder=suite_file.parent))
    assert [file.name for file in suite_file.parent.iterdir()] == [suite_file.name]
