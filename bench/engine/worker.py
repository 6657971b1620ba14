"""The worker process: tasks come in on standard input as JSON lines, results go out on standard output.

Run as ``python -m bench.engine.worker DEVICE BATCH_SIZE`` by the local executor. What models and libraries print goes
to standard error, so that it cannot be taken for a result.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import sys
import time
from typing import Any

from bench.engine.keys import search_here
from bench.engine.task import Task


def main() -> None:
    """Do tasks until standard input ends."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this process
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    search_here()

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")

    from bench.engine.perform import perform
    from bench.engine.work.workplace import Workplace

    place = Workplace(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        last = 0.0

        def report(share: float) -> None:
            nonlocal last
            if time.monotonic() - last > 0.2:
                last = time.monotonic()
                send({"share": share})

        send(dataclasses.asdict(perform(Task(**json.loads(line)), place, report)))


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent is killed, so that nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()
