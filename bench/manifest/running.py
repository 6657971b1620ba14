"""A user's code, imported and run so that what it uses is noted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.catalogue import import_by_name
from bench.manifest.component import label
from bench.manifest.recorder import RECORDER


def user_code(role: str, name: str) -> Callable[..., Any]:
    """A callable of a user's, which notes what it uses while it runs.

    Args:
        role: ``model``, ``data``, ``attack``, ``metric`` or ``defense``.
        name: ``package.module:callable``. Importing it runs the module's code: name only what you trust.

    Raises:
        BenchError: It cannot be imported or called.
    """
    who = label(role, name)
    with RECORDER.component(who):
        function = import_by_name(name)

    @functools.wraps(function, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        with RECORDER.component(who):
            return function(*args, **kwargs)

    return run
