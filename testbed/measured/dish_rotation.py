"""The rotation between a dish's own frame and the local one, from directions known in both."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: directions further from the fit than this many medians do not take part in it: names are inferred, and
#: the map keeps what was painted before
_TRIM = 3.0
_FIT_ROUNDS = 20


def fit_rotation(dish: Floats, local: Floats) -> Floats:
    """The rotation [3, 3] that turns unit vectors [n, 3] of the dish's frame into the local one.

    Least squares over the sphere (Wahba's problem, by singular value decomposition: Markley 1988), repeated
    over those within some medians of the fit.
    """
    kept = np.ones(len(dish), dtype=bool)
    for _ in range(_FIT_ROUNDS):
        left, _, right = np.linalg.svd(local[kept].T @ dish[kept])
        handed = np.linalg.det(left) * np.linalg.det(right)
        rotation = left @ np.diag([1.0, 1.0, handed]) @ right
        away = angle_deg(dish @ rotation.T, local)
        now = away <= _TRIM * max(float(np.median(away)), 1e-6)
        if np.array_equal(now, kept):
            break
        kept = now
    return np.asarray(rotation)


def angle_deg(a: Floats, b: Floats) -> Floats:
    """Angles in degrees between unit vectors [n, 3]."""
    chord = np.linalg.norm(a - b, axis=1)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))))


def yaw_and_tilt_deg(rotation: Floats) -> tuple[float, float]:
    """By how much azimuths grow, and how far the dish's axis is from the zenith, degrees."""
    yaw = math.atan2(rotation[0, 1] - rotation[1, 0], rotation[0, 0] + rotation[1, 1])
    return math.degrees(yaw), math.degrees(math.acos(min(max(rotation[2, 2], -1.0), 1.0)))
