"""The two tables: what was measured, and whether it is what was promised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.errors import BenchError

WIDTHS = (14, 11, 13, 5, 8, 30)


@dataclass
class Table:
    """Lines go to the screen as they come; claims wait for the end."""

    claims: list[tuple[str, str, str, str]] = field(default_factory=list)

    def begin(self) -> None:
        self._print(("row", "network", "tool", "batch", "seconds", "result"))
        self._print(tuple("-" * width for width in WIDTHS))

    def line(self, row: str, network: str, tool: str, batch_size: int | str, seconds: float, result: str = "") -> None:
        took = "" if math.isnan(seconds) else f"{seconds:.2f}"
        self._print((row, network, tool, str(batch_size), took, result))

    def claim(self, text: str, found: float, limit: float, unit: str = "") -> None:
        """Note a figure that must not be above a limit."""
        verdict = "ok" if round(found, 9) <= limit else "MISS"
        self.claims.append((text, f"{found:.4g}{unit}", f"at most {limit:.3g}{unit}", verdict))

    @contextmanager
    def each(self, row: str, name: str) -> Iterator[None]:
        """Go on with the next network when one cannot be measured."""
        try:
            yield
        except BenchError as error:
            self.claims.append((f"{row}, {name}: {error}", "", "", "not run"))

    def end(self) -> bool:
        """Print the claims; whether all were kept."""
        print("\n| claim | found | bound | verdict |\n|---|---|---|---|")
        for claim in self.claims:
            print("| " + " | ".join(claim) + " |")
        return all(claim[-1] == "ok" for claim in self.claims)

    def _print(self, cells: tuple[str, ...]) -> None:
        print(
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + " |", flush=True
        )
