"""The worker process: tasks come in on standard input as JSON lines, results go out on standard output.

Run as ``python -m bench.engine.worker DEVICE BATCH_SIZE PARENT`` by the local executor. What models and libraries print
goes to standard error, so that it cannot be taken for a result, and what they read from standard input is nothing, so
that they cannot take a task.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench.engine.import_path import search_here
from bench.engine.task import Task


def main() -> None:
    """Do tasks until standard input ends."""
    device, batch_size, parent = sys.argv[1:]
    _die_with(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this process
    out, tasks = os.fdopen(os.dup(1), "wb", buffering=0), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    search_here()

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")

    from bench.engine.perform import perform
    from bench.engine.work.workplace import Workplace

    place = Workplace(device, int(batch_size))
    send({"ready": True})
    for line in tasks:
        last = 0.0

        def report(share: float) -> None:
            nonlocal last
            if time.monotonic() - last > 0.2:
                last = time.monotonic()
                send({"share": share})

        send(dataclasses.asdict(perform(Task(**json.loads(line)), place, report)))


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent is killed, so that nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before we could ask
            sys.exit(1)


if __name__ == "__main__":
    main()
