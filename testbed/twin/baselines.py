"""The trivial predictions every score is quoted beside: a constant, and propagation alone.

The constant is the median of what was observed in the first part of the run, frozen when that part is
over. It belongs to a terminal and direction, not to a satellite, so a handover does not lose it.
"""

from __future__ import annotations

from statistics import median


class ConstantBaseline:
    """Medians of the calibration part by (key, quantity); until it is over, medians so far."""

    def __init__(self, calibration_s: float) -> None:
        self.calibration_s = calibration_s
        self._values: dict[tuple[str, str], list[float]] = {}
        self._medians: dict[tuple[str, str], float] = {}

    def add(self, key: str, quantity: str, observed: float, t_s: float) -> None:
        """An observation at run time `t_s`; ignored after the calibration part, unless it is the first.

        A link that only appears later would otherwise have no baseline: its first value stands in.
        """
        name = (key, quantity)
        if t_s > self.calibration_s and name in self._values:
            return
        self._values.setdefault(name, []).append(observed)
        self._medians.pop(name, None)

    def value(self, key: str, quantity: str) -> float | None:
        """The constant to predict; None before anything was observed."""
        name = (key, quantity)
        known = self._medians.get(name)
        if known is None and name in self._values:
            known = self._medians[name] = median(self._values[name])
        return known
