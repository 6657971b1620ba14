"""Small reference weights that ship with the package, each made by a recipe of a suite in this repository.

`index.json` maps recipe keys to files. The files are in safetensors format and can be used without this package.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import ModelError

FOLDER = Path(__file__).parent
INDEX = FOLDER / "index.json"


@cache
def index() -> dict[str, dict[str, Any]]:
    """Recipe keys to entries with `file`, `model`, `sha256` and `content`."""
    return json.loads(INDEX.read_text()) if INDEX.exists() else {}


def find(key: str) -> tuple[Path, str] | None:
    """The file of a recipe's weights and the name of its content; None when the zoo has none.

    Raises:
        ModelError: The file is missing or not the one the index names.
    """
    entry = index().get(key)
    if entry is None:
        return None
    path = FOLDER / entry["file"]
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise ModelError(f"the zoo's {path} is missing or damaged; install the package again")
    return path, entry["content"]
