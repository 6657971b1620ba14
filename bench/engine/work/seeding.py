"""The global random generators, which belong to nobody and are used by many."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bench.randomness import forked_torch_seed


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what a user's code may change for all that come after it: working directory, torch's default type."""
    folder, dtype = Path.cwd(), torch.get_default_dtype()
    try:
        yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(dtype)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch for the block, and put their state back.

    Our own code draws nothing from them, but a user's model, attack or metric may: what it draws must not depend on
    what was done before in this process.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        with forked_torch_seed(seed):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
