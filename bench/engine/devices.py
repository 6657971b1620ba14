"""Which device a run uses, found without importing torch."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from bench.engine.environment import cuda_devices
from bench.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")


def torch_cuda_build() -> str | None:
    """The CUDA version the installed torch was built for; None for a build without CUDA, or no torch."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = (Path(spec.origin).parent / "version.py").read_text()
    match = re.search(r"^cuda\b.*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return match[1] if match else None


def choose_device(wanted: str) -> str:
    """``cpu`` or ``cuda``.

    Raises:
        UsageError: CUDA was asked for where there is none, or the device is unknown.
    """
    if wanted not in DEVICES:
        raise UsageError(f"expected --device {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, found '{wanted}'")
    if wanted == "cpu":
        return "cpu"
    found, build = cuda_devices(), torch_cuda_build()
    if found and build:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    why = "the installed torch is built without CUDA" if found else "no CUDA device or driver was found"
    raise UsageError(f"--device cuda was asked for, but {why}; use --device cpu, or see `bench doctor`")
