"""`--set KEY=VALUE`: change a suite from the command line before it is checked."""

from __future__ import annotations

from typing import Any

from bench.errors import Problem
from bench.suite.messages import clip, near, quote, show
from bench.suite.yaml_source import Document, Path, dotted, parse

_NAMED = 2
"""How many parts of a key must be there already: a section, and the name of a block in it."""


def apply(document: Document, assignment: str) -> None:
    """Set one key of a parsed suite; the value is read as YAML. Mistakes join the document's problems.

    ``evaluations.whitebox.data=mine`` sets a key, ``models.cnn.trials=3`` makes it if need be, and a number in the
    key picks an entry of a list. A block is added whole: ``data.mine={source: npz, path: mine.npz}``.
    """
    name, sign, text = assignment.partition("=")
    where = f"--set {clip(assignment if assignment.isprintable() else repr(assignment), 100)}"
    if not sign or not all(name.split(".")):
        message = "expected KEY=VALUE with names joined by dots, such as data.mnist.take=100"
        document.problems.append(Problem(where, 1, 1, "", message))
        return
    parsed = parse(text, where)
    if parsed.problems:
        document.problems.extend(parsed.problems)
        return
    left, target = name.split("."), document.value
    walked: Path = ()
    made: Path | None = None
    while True:
        found = _step(target, left, walked)
        if isinstance(found, str):
            document.problems.append(Problem(where, 1, 1, name, found))
            return
        step, used = found
        left = left[used:]
        walked = (*walked, step)
        new = isinstance(target, dict) and step not in target
        made = made or (walked if new else None)
        if not left:
            break
        if new and len(walked) <= _NAMED:
            inside = f"'{dotted(walked[:-1])}'" if walked[:-1] else "the suite"
            message = f"there is no {quote(str(step))} in {inside}{near(str(step), target)}"
            document.problems.append(Problem(where, 1, 1, name, message))
            return
        if new:
            target[step] = {}
        target = target[step]
    target[step] = parsed.value
    changed = made or walked
    for old in [place for place in document.overridden if place[: len(changed)] == changed]:
        del document.overridden[old]
    document.overridden[changed] = where


def _step(target: Any, left: list[str], walked: Path) -> tuple[str | int, int] | str:
    """The key or position the next parts stand for, and how many they are; otherwise what is wrong with them."""
    if isinstance(target, list):
        if len(left[0]) < 10 and left[0].isascii() and left[0].isdigit() and int(left[0]) < len(target):
            return int(left[0]), 1
        if not target:
            return f"'{dotted(walked)}' is an empty list; set it whole"
        expected = f"a position from 0 to {len(target) - 1}"
        return f"'{dotted(walked)}' is a list of {len(target)}; expected {expected}, found {quote(left[0])}"
    if not isinstance(target, dict):
        return f"'{dotted(walked)}' is {show(target)}, which holds no keys"
    # a name may hold dots itself: the longest one that is there is meant
    for count in range(len(left), 1, -1):
        if ".".join(left[:count]) in target:
            return ".".join(left[:count]), count
    return left[0], 1
