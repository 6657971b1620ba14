"""The area under the distortion-distortion curve of attacked autoencoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def auddc(input_distortion: ArrayLike, target_distance: ArrayLike) -> float:
    """Area under one pair's distortion-distortion curve; lower means easier to attack.

    Points are sorted by input distortion and kept where it lies in [0, 1]; the curve is then closed at (1, lowest
    target distance) and integrated by trapezoids.

    Args:
        input_distortion: |d| / |x_origin - x_target| of each trade-off, shape (m,).
        target_distance: Distance of the reconstruction from the target, normalised to 0 (the target's own
            reconstruction) and 1 (the origin's), shape (m,).

    Returns:
        The area; NaN when no point has a distortion in [0, 1].

    Source: Tabacof, Tavares, Valle 2016, section 4, by the computation they released.

    >>> auddc([0.0, 1.0], [1.0, 0.0])
    0.5
    """
    x, y = np.asarray(input_distortion, np.float64), np.asarray(target_distance, np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    kept = (x >= 0) & (x <= 1) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if len(x) == 0:
        return float("nan")
    x, y = np.append(x, [x.max(), 1.0]), np.append(y, [y.min(), y.min()])
    return float(np.trapezoid(y, x))
