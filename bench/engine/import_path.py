"""Where a user's modules are found."""

from __future__ import annotations

import sys
from pathlib import Path


def search_here() -> None:
    """Let import names be found from the folder bench is run from, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
