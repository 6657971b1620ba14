"""Attacks by name.

attack = bench.attacks.create("pgd", norm="linf", epsilon=8/255, seed=0)
result = attack(model, x, y)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.attacks.catalogue import ATTACKS

if TYPE_CHECKING:
    from bench.attacks.attack import Attack, AttackResult, create

__all__ = ["ATTACKS", "Attack", "AttackResult", "create"]


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name in __all__:
        from bench.attacks import attack

        return getattr(attack, name)
    raise AttributeError(f"module 'bench.attacks' has no attribute '{name}'")
