"""Numbers in words of one style."""

from __future__ import annotations

import math
from datetime import UTC, datetime

NOTHING = "–"
"""Stands where there is no figure."""


def figure(value: float, digits: int = 4) -> str:
    """A number to some digits, with an exponent from a million up and below 0.0001; a dash for NaN.

    >>> figure(0.123456), figure(10000.0), figure(3e60), figure(float("nan"))
    ('0.1235', '10,000', '3e60', '–')
    """
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{value:,.0f}" if size >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return text.replace("-", "−")


def share(value: float) -> str:
    """A share in percent to one decimal; a dash for NaN.

    >>> share(0.8571), share(-0.1)
    ('85.7 %', '−10.0 %')
    """
    return NOTHING if math.isnan(value) else f"{100 * value:.1f} %".replace("-", "−")


def between(low: float, high: float) -> str:
    """The ends of an interval; nothing when there is none.

    >>> between(0.1, 0.25), between(float("nan"), 1.0)
    ('[0.1, 0.25]', '')
    """
    return "" if math.isnan(low) or math.isnan(high) else f"[{figure(low)}, {figure(high)}]"


def shares_between(low: float, high: float) -> str:
    """The ends of an interval of shares, in percent.

    >>> shares_between(0.1, 0.25)
    '[10.0, 25.0]'
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{100 * low:.1f}, {100 * high:.1f}]".replace("-", "−")


def moment(seconds: float | None) -> str:
    """A time since the epoch, in UTC; nothing for None.

    >>> moment(0.0)
    '1970-01-01 00:00 UTC'
    """
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """A time span.

    >>> duration(4.2), duration(78), duration(7300)
    ('4.2 s', '1 min 18 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
