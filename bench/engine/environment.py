"""What a run ran on: packages, device, commit. Found without importing torch."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "bench", "torch", "torchvision", "torchmetrics", "numpy", "pandas", "scipy", "seaborn", "pydantic", "PyYAML",
    "typer", "rich", "jinja2", "safetensors",
)  # fmt: skip


def package_versions() -> dict[str, str | None]:
    """Installed versions; None where a package is missing."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def cuda_devices() -> list[str]:
    """Names of the CUDA devices the driver knows, asked of the driver itself; empty without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    if driver.cuInit(0) != 0:
        return []
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for number in range(count.value):
        buffer = ctypes.create_string_buffer(256)
        driver.cuDeviceGetName(buffer, 256, number)
        names.append(buffer.value.decode(errors="replace"))
    return names


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirtiness of the repository a folder is in; empty where there is none."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program
                ["git", "-C", str(folder), *words],  # noqa: S607 - the user's git
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return {} if commit is None else {"commit": commit, "dirty": bool(ask("status", "--porcelain"))}


MACHINE = ("processor", "torch", "threads")
"""What the figures of a CPU depend on."""


@functools.cache
def working_place() -> dict[str, str]:
    """What the figures of a CPU depend on, here: see `MACHINE`."""
    return {"processor": _processor(), "torch": importlib.metadata.version("torch"), "threads": str(threads())}


def threads() -> int:
    """How many threads torch works with on a CPU, unless it is told otherwise in code."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) > 0 else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Platform, Python and processor of this machine."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
