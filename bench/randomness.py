"""Seeds that depend on what is being done, never on the order in which it is done.

Every random choice of a run derives from the suite's seed and the names of the things the choice is for
(an attack, a sample's id, a restart). So results do not depend on batch size, order, workers or resumption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, from the suite's seed and the purpose's names.

    >>> derive_seed(0, "pgd", "test/7") == derive_seed(0, "pgd", "test/7")
    True
    >>> derive_seed(0, "pgd", "test/7") == derive_seed(0, "pgd", "test/8")
    False
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def forked_torch_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generators for the block, and put their state back afterwards.

    For the places where a library can only draw from the global generator: initialisation and dropout.
    """
    import torch

    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
