"""Where modules are, and what they import, found out without importing anything."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from bench.manifest.distributions import Distribution, installed_root, owner
from bench.manifest.roots import BENCH, below, of_python

Owner = Literal["python", "distribution", "bench", "user"]


class Module(NamedTuple):
    """A module that was found.

    Attributes:
        name: Its full name.
        path: Its file; empty for a built-in module or a namespace package.
        folders: Where its submodules are looked for; empty unless it is a package.
        owner: Whose it is.
        distribution: The distribution that brought it, where one did.
    """

    name: str
    path: str
    folders: tuple[str, ...]
    owner: Owner
    distribution: Distribution | None = None

    @property
    def is_user(self) -> bool:
        """Whether it is listed file by file."""
        return self.owner == "user"


class Resolver:
    """Finds modules; each name is looked for once.

    Args:
        path: The import path; that of this process when None.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        importlib.invalidate_caches()
        self._path = path
        self._found: dict[str, Module | None] = {}

    def differs(self) -> bool:
        """Whether the import path of this process is another one by now."""
        return self._path is not None and list(self._path) != sys.path

    def reaches(self, info: str) -> bool:
        """Whether the distribution in a folder of its own is found along the path."""
        path = sys.path if self._path is None else self._path
        return os.path.dirname(info) in {os.path.abspath(entry or os.getcwd()) for entry in path}

    def find(self, name: str) -> Module | None:
        """A module by its full name; None where there is none."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Module | None:
        if name in sys.builtin_module_names:
            return Module(name, "", (), "python")
        parent, _, _ = name.rpartition(".")
        search: list[str] | None = None
        if parent:
            above = self.find(parent)
            if above is None or not above.folders:
                return None
            search = list(above.folders)
        spec = _spec(name, search, self._path)
        if spec is None:
            return None
        folders = tuple(os.path.abspath(folder) for folder in spec.submodule_search_locations or ())
        has_file = spec.has_location and spec.origin is not None
        path = os.path.abspath(str(spec.origin)) if has_file else ""
        whose, distribution = owner_of(path or (folders[0] if folders else ""))
        return Module(name, path, folders, whose, distribution)


def _spec(name: str, search: list[str] | None, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    """A module's spec, by the finders that an import would ask."""
    finders = sys.meta_path if search is None else [importlib.machinery.PathFinder]
    for finder in finders:
        find = getattr(finder, "find_spec", None)
        if find is None:
            continue
        try:
            along = path if search is None and finder is importlib.machinery.PathFinder else search
            spec = find(name, along)
        except KeyError:  # a namespace package inside one that is not imported
            return _namespace(name, search or [])
        except Exception:  # a finder of somebody's that cannot: an import would end here as well
            return None
        if spec is not None:
            return spec  # type: ignore[no-any-return]
    return None


def _namespace(name: str, search: Sequence[str]) -> importlib.machinery.ModuleSpec | None:
    """The spec of a namespace package below others."""
    folders = [os.path.join(folder, name.rpartition(".")[2]) for folder in search]
    found = [folder for folder in folders if os.path.isdir(folder)]
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = found
    return spec if found else None


def owner_of(path: str) -> tuple[Owner, Distribution | None]:
    """Whose a file is. A distribution that was installed from a folder is the user's, file by file."""
    if not path or of_python(path):
        return "python", None
    if below(path, (BENCH,)):
        return "bench", None
    if installed_root(path) is None:
        return "user", None
    found = owner(path)
    if found is None or found.by_file:
        return "user", found
    return "distribution", found


class Closure(NamedTuple):
    """A module and all that it imports.

    Attributes:
        modules: What was found, by name: the user's modules, and those of others that they import themselves.
        missing: Names that were looked for and not found.
    """

    modules: dict[str, Module]
    missing: set[str]


def closure(names: Iterable[str], resolver: Resolver) -> Closure:
    """The modules of some names, and what the user's among them import, inside functions too.

    Args:
        names: Full names of modules.
        resolver: Finds them.
    """
    found = Closure({}, set())
    waiting = [part for name in names for part in _with_parents(name)]
    while waiting:
        name = waiting.pop()
        if name in found.modules or name in found.missing:
            continue
        module = resolver.find(name)
        if module is None:
            found.missing.add(name)
            continue
        if module.owner == "bench":
            found.modules["bench"] = module  # its version says what it does
            continue
        if not module.is_user:
            top = name.partition(".")[0]
            first = resolver.find(top)
            if first is not None and not first.is_user:  # what an installed package is made of is the package's
                found.modules[top] = first
                continue
        found.modules[name] = module
        if module.is_user and module.path.endswith(".py"):
            for wanted, certain in imports(module):
                if certain or resolver.find(wanted) is not None:
                    waiting += _with_parents(wanted)
    return found


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def imports(module: Module) -> Iterator[tuple[str, bool]]:
    """The names that a module's source imports, and whether each must be a module (it may be an attribute of one)."""
    try:
        with open(module.path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    package = module.name if module.folders else module.name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, True) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base is None:
                continue
            if base:
                yield base, True
            for alias in node.names:
                if alias.name != "*":
                    yield f"{base}.{alias.name}" if base else alias.name, False
        elif isinstance(node, ast.Call):
            name = _called(node)
            if name is not None:
                yield name, True


def _base(node: ast.ImportFrom, package: str) -> str | None:
    """The module that `from ... import` names; None where it climbs above the top."""
    if node.level == 0:
        return node.module or ""
    parts = package.split(".") if package else []
    if node.level - 1 > len(parts) or not parts:
        return None
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _called(node: ast.Call) -> str | None:
    """The literal name in `importlib.import_module("a.b")` or `__import__("a.b")`."""
    function = node.func
    called = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    if called not in ("import_module", "__import__") or not node.args:
        return None
    first = node.args[0]
    literal = first.value if isinstance(first, ast.Constant) else None
    if not isinstance(literal, str) or not all(part.isidentifier() for part in literal.split(".")):
        return None
    return literal
