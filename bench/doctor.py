"""What a machine has of all that this package can use: what is missing comes with the line that installs it."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.engine.devices import torch_cuda_build
from bench.engine.environment import cuda_devices, package_versions
from bench.models import zoo
from bench.models.packaged import PACKAGED
from bench.planning import store_folder

_PYTHON = (3, 11)
_ROOM = 1 << 30
_MNIST = Path(__file__).parent / "data" / "mnist"
_MNIST_FILES = {
    "train-images-idx3-ubyte.gz": 60_000,
    "train-labels-idx1-ubyte.gz": 60_000,
    "t10k-images-idx3-ubyte.gz": 10_000,
    "t10k-labels-idx1-ubyte.gz": 10_000,
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)\s*\(?([^;)]*)")
_BOUND = re.compile(r"(>=|==|<|~=)\s*([0-9.]+)")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        subject: What was looked for.
        found: What was found.
        good: Whether that is as it should be.
        needed: Whether runs cannot do without it.
        remedy: The line to type, or what to do; empty where all is well.
    """

    subject: str
    found: str
    good: bool
    needed: bool
    remedy: str = ""


def examine(store: Path | None) -> list[Finding]:
    """Look for everything; nothing is imported that takes long, torch least of all.

    Args:
        store: Folder of finished jobs; the usual one when None.
    """
    return [_python(), *_packages(), _pair(), _device(), _mnist(), _zoo(), *_packaged(), _store(store_folder(store))]


def _install(*requirements: str) -> str:
    """The line that installs something into the Python that runs this."""
    return f"{sys.executable} -m pip install {' '.join(requirements)}"


def _python() -> Finding:
    good = sys.version_info >= _PYTHON
    wanted = ".".join(map(str, _PYTHON))
    remedy = "" if good else f"install Python {wanted} or newer, and make the virtual environment again with it"
    return Finding("python", f"{platform.python_version()} at {sys.executable}", good, True, remedy)


def _required(package: str) -> dict[str, str]:
    """What an installed package requires, without its extras: names in lower case to bounds such as ``>=2.11``."""
    try:
        lines = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    matches = [_REQUIREMENT.match(line) for line in lines if "extra ==" not in line]
    return {match[1].lower(): match[2].strip() for match in matches if match}


def _packages() -> Iterator[Finding]:
    for name, version in package_versions().items():
        if name == "bench":
            remedy = "" if version else _install("--editable", str(Path(__file__).parent.parent))
            yield Finding(
                name, version or "not installed, only found in this folder", version is not None, False, remedy
            )
            continue
        bounds = _required("bench").get(name.lower(), "")
        good = version is not None and _meets(version, bounds)
        found = version or "not installed"
        if version and not good:
            found += f", expected {bounds}"
        yield Finding(name, found, good, True, "" if good else _install(f"'{name}{bounds}'"))


def _pair() -> Finding:
    """Whether torchvision was built for a torch like the one installed: its own word, since importing it takes long."""
    versions = package_versions()
    torch, torchvision = versions["torch"], versions["torchvision"]
    if torch is None or torchvision is None:
        return Finding("torchvision with torch", "not both installed", False, True, _install("torch", "torchvision"))
    bounds = _required("torchvision").get("torch", "")
    good = _meets(torch, bounds)
    found = f"torchvision {torchvision} wants torch {bounds or 'of any version'}, torch is {torch}"
    remedy = "" if good else _install("--upgrade", "torch", "torchvision")
    return Finding("torchvision with torch", found, good, True, remedy)


def _meets(version: str, bounds: str) -> bool:
    """Whether a version is within bounds such as ``>=2.11,<3``; local parts such as ``+cpu`` do not count.

    >>> _meets("2.14.0+cpu", ">=2.11"), _meets("2.9", ">=2.11"), _meets("2.11.1", "==2.11.0")
    (True, False, False)
    """
    own = _numbers(version)
    for sign, text in _BOUND.findall(bounds):
        bound = _numbers(text)
        size = max(len(own), len(bound))
        mine, its = (numbers + (0,) * (size - len(numbers)) for numbers in (own, bound))
        fits = {">=": mine >= its, "==": mine == its, "<": mine < its}
        fits["~="] = mine >= its and mine[: len(bound) - 1] == its[: len(bound) - 1]
        if not fits[sign]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()


def _device() -> Finding:
    devices, build = cuda_devices(), torch_cuda_build()
    if not devices:
        return Finding("device", "the CPU; no CUDA device or driver was found", True, False)
    if build is None:
        found = f"{', '.join(devices)}, but torch is built without CUDA, so that runs use the CPU"
        return Finding("device", found, False, False, _install("--force-reinstall", "torch", "torchvision"))
    return Finding("device", f"{', '.join(devices)}; torch is built for CUDA {build}", True, False)


def _mnist() -> Finding:
    bad = [name for name, count in _MNIST_FILES.items() if _count(_MNIST / name) != count]
    if bad:
        found = f"missing or damaged in {_MNIST}: {', '.join(bad)}"
        return Finding("data mnist", found, False, True, _again(_MNIST))
    return Finding("data mnist", f"60,000 training and 10,000 test images in {_MNIST}", True, True)


def _count(path: Path) -> int | None:
    """How many entries an IDX file says it has; None where that cannot be read."""
    try:
        with gzip.open(path) as file:
            return int.from_bytes(file.read(8)[4:], "big")
    except (OSError, EOFError):
        return None


def _zoo() -> Finding:
    try:
        entries = [(zoo.FOLDER / entry["file"], entry["sha256"]) for entry in zoo.index().values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Finding("zoo", f"{zoo.INDEX} cannot be read", False, False, _again(zoo.FOLDER))
    if not entries:
        found = "no weights, so that the first run trains the reference models, for hours on a CPU"
        return Finding("zoo", found, False, False, _again(zoo.FOLDER))
    bad = [path.name for path, checksum in entries if _checksum(path) != checksum]
    if bad:
        return Finding("zoo", f"missing or damaged in {zoo.FOLDER}: {', '.join(bad)}", False, False, _again(zoo.FOLDER))
    return Finding("zoo", f"weights of {len(entries)} trainings in {zoo.FOLDER}", True, False)


def _packaged() -> Iterator[Finding]:
    """Weights that other packages bring along; only suites that name their architectures need them."""
    for arch, packaged in PACKAGED.items():
        path = packaged.find()
        if path is None:
            found = f"{packaged.package} ({packaged.size}) is not installed, or lacks {packaged.file}"
            yield Finding(f"weights {arch}", found, False, False, packaged.line)
        else:
            yield Finding(f"weights {arch}", str(path), True, False)


def _again(folder: Path) -> str:
    """The line that brings files of this package back."""
    root = Path(__file__).parent.parent
    if (root / ".git").exists():
        return f"git -C {root} restore {folder.relative_to(root)}"
    # not "pip install bench": an index may have another package of that name
    return "install this package again from where it came from, with pip install --force-reinstall --no-deps"


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _store(folder: Path) -> Finding:
    """The store, or the place where the first run will make it."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        found = f"{folder}: {place} is {'not writable' if place.is_dir() else 'a file'}"
        return Finding("store", found, False, True, "choose another folder with --store DIR, or export BENCH_STORE=DIR")
    free = shutil.disk_usage(place).free
    held = f"{_size(_held(folder))} of finished jobs" if folder.is_dir() else "not there yet; the first run makes it"
    found = f"{folder}: {held}, {_size(free)} free on its disk"
    remedy = (
        ""
        if free >= _ROOM
        else f"free some space, or choose another disk with --store DIR; a run can need {_size(_ROOM)}"
    )
    return Finding("store", found, free >= _ROOM, False, remedy)


def _held(folder: Path) -> int:
    """Bytes of all files below a folder; a file that goes away meanwhile counts as none."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - many times faster here
            except OSError:
                continue
    return total


def _size(count: float) -> str:
    """Bytes for people.

    >>> _size(532), _size(1_500_000)
    ('532 B', '1.4 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
