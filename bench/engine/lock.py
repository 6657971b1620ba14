"""One process a run folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UsageError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for the block. The lock goes with the process, so a killed run leaves none behind.

    Raises:
        UsageError: Another process holds it, or it cannot be written.
    """
    try:
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; choose another folder with --out") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                f"{folder} is in use by another bench run (process {holder}); wait for it, or give another --out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
