"""Where the store has trainings whose records are not all written yet."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

KIND = "checkpoint"


def place(output: Path) -> Path:
    """Where the checkpoint with the name of a training's record is, or would be.

    >>> place(Path("store/train/ab/ab12")).as_posix()
    'store/checkpoint/ab/ab12'
    """
    return output.parents[1].with_name(KIND) / output.parent.name / output.name


def drop(output: Path) -> None:
    """Remove the checkpoint with the name of a training's record, if there is one; one that stays does no harm."""
    with suppress(OSError):
        place(output).unlink()
