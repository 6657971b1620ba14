"""How much memory a job had in use at its peak."""

from __future__ import annotations

import re
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"
"""What tells Linux to forget the peak of a process's memory (proc(5), since Linux 4.0)."""


class PeakMemory:
    """The largest memory in use since this object was made.

    On a GPU what torch had allocated there. On a CPU what the whole process had resident, Python and libraries
    included, since nothing else can be told apart: to compare with other runs of the same job, not to be read as what
    the job needs alone.

    Args:
        device: Where the job runs.

    >>> PeakMemory(torch.device("cpu")).bytes() >= 0
    True
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            _CLEAR.write_text(_RESET_PEAK)
        except OSError:
            self._known = False

    def bytes(self) -> int:
        """The peak so far; 0 where the system does not tell."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        if not self._known:
            return 0
        try:
            found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        except OSError:
            return 0
        return 0 if found is None else int(found[1]) * 1024
