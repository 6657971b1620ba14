"""`--set KEY=VALUE`: change a suite from the command line before it is checked."""

from __future__ import annotations

from typing import Any

from bench.errors import Problem
from bench.suite.yaml_source import Document, Path, dotted, parse


def apply(document: Document, assignment: str) -> None:
    """Set one key of a parsed suite; the value is read as YAML. Mistakes join the document's problems.

    ``evaluations.whitebox.data=mine`` sets a key, ``models.cnn.trials=3`` makes it if need be, and a number in the
    key picks an entry of a list.
    """
    name, sign, text = assignment.partition("=")
    where = f"--set {assignment}"
    if not sign or not name:
        document.problems.append(Problem(where, 1, 1, "", "expected KEY=VALUE, such as data.mnist.take=100"))
        return
    parsed = parse(text, where)
    if parsed.problems:
        document.problems.extend(parsed.problems)
        return
    parts = name.split(".")
    target: Any = document.value
    walked: Path = ()
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if isinstance(target, list):
            if not part.isdigit() or int(part) >= len(target):
                message = f"'{dotted(walked)}' is a list of {len(target)}; expected a position from 0, found '{part}'"
                document.problems.append(Problem(where, 1, 1, name, message))
                return
            step: str | int = int(part)
        elif isinstance(target, dict):
            step = part
        else:
            found = f"'{dotted(walked)}' is {target!r}, which holds no keys" if walked else "the suite is no mapping"
            document.problems.append(Problem(where, 1, 1, name, found))
            return
        walked = (*walked, step)
        if last:
            target[step] = parsed.value
        else:
            if isinstance(target, dict):
                target.setdefault(step, {})
            target = target[step]
    document.overridden[walked] = where
