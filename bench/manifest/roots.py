"""Paths that stay true when a project moves: each relative to a folder that has a name."""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

BENCH = str(Path(__file__).resolve().parents[1])
"""The folder of this package."""


@functools.cache
def installed_folders() -> tuple[str, ...]:
    """Folders that packages are installed into."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()]
    found += site.getsitepackages()
    found += [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return _distinct(found)


@functools.cache
def library_folders() -> tuple[str, ...]:
    """Folders of Python's own library."""
    return _distinct([sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(os.__file__).parent)])


def _distinct(folders: list[str]) -> tuple[str, ...]:
    both = [form for folder in folders for form in (os.path.abspath(folder), os.path.realpath(folder))]
    return tuple(dict.fromkeys(both))


def below(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of some folders or lies below it."""
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def of_python(path: str) -> bool:
    """Whether a path lies in Python's own library or its installation, but in no folder for packages."""
    if below(path, installed_folders()):
        return False
    return below(path, library_folders()) or path.startswith("<frozen")


@dataclass(frozen=True)
class Roots:
    """The folders that paths of a manifest begin at, first match first.

    Attributes:
        named: Names with absolute folders: ``work`` (the working folder), ``suite``, ``path`` (each entry of the import
            path), ``site`` (each folder of installed packages), ``python``, ``home``.
    """

    named: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, suite_folder: str | Path | None = None) -> Roots:
        """The roots of this process.

        Args:
            suite_folder: The folder of the suite file.
        """
        work = os.getcwd()
        named = [("work", work)]
        if suite_folder is not None:
            named.append(("suite", os.path.abspath(suite_folder)))
        installed = installed_folders()
        prefixes = (*installed, *library_folders(), *_distinct([sys.prefix, sys.base_prefix]))
        entries = dict.fromkeys(os.path.abspath(entry or work) for entry in sys.path)
        own = [entry for entry in entries if entry != work and not below(entry, prefixes)]
        named += [("path", entry) for entry in own]
        named += [("site", entry) for entry in installed]
        named += [("python", folder) for folder in library_folders()[:1]]
        home = os.path.expanduser("~")
        return cls(tuple([*named, ("home", home)] if os.path.isabs(home) and home != os.sep else named))

    def portable(self, path: str) -> str:
        """An absolute path as ``root:rest``, or as it is where no root holds it.

        >>> Roots((("work", "/a/b"),)).portable("/a/b/c/d")
        'work:c/d'
        """
        for name, folder in self.named:
            if path == folder:
                return f"{name}:."
            if path.startswith(folder.rstrip(os.sep) + os.sep):
                return f"{name}:{path[len(folder.rstrip(os.sep)) + 1 :]}"
        return path

    def locate(self, portable: str) -> str | None:
        """The absolute path of ``root:rest`` here, in the first root of that name that has it; None for no root.

        >>> Roots((("work", "/x"),)).locate("work:c/d")
        '/x/c/d'
        """
        if portable.startswith(os.sep):
            return portable
        name, _, rest = portable.partition(":")
        folders = [folder for own, folder in self.named if own == name]
        paths = [folder if rest == "." else os.path.join(folder, rest) for folder in folders]
        return next((path for path in paths if len(paths) == 1 or os.path.exists(path)), paths[0] if paths else None)
