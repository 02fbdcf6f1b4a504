"""Watches over a link that falls silent: how long is too long, given how often reports get lost.

Fed one window at a time; the false-alarm rate follows from the stated probability. Floors of delay, losses
and served rates are watched elsewhere (`floors`, `losses`, `capacity`), fades in `radio`.
"""

from __future__ import annotations

import math


class MissingRate:
    """Share of expected link reports that do not come, over all links of the network."""

    def __init__(self) -> None:
        self._missing = 1.0
        self._expected = 50.0

    def add(self, missing: int, expected: int) -> None:
        keep = 0.999
        self._missing = keep * self._missing + missing
        self._expected = keep * self._expected + expected

    def windows_until(self, probability: float) -> int:
        """Missing windows in a row that happen by chance with at most `probability`."""
        share = min(max(self._missing / self._expected, 0.02), 0.9)
        return max(math.ceil(math.log(probability) / math.log(share)), 3)


class SilenceWatch:
    """A link that should be up: windows in a row without a sign that it carries anything."""

    _KNOWN_AFTER = 6

    def __init__(self) -> None:
        self.reports = 0
        self.down_windows = 0
        self.onset_s = 0.0
        self.down = False
        self.back_windows = 0
        self.ended_s = 0.0
        self._had_snr = False

    def missing(self, begins_s: float) -> None:
        """No report of the link for a window, while others reported."""
        if self.reports >= self._KNOWN_AFTER:
            self._sign(True, begins_s)

    def passed(self, begins_s: float) -> None:
        """No report of the link, but packets are known to have crossed it."""
        self._sign(False, begins_s)

    def reported(self, begins_s: float, out: float, dropped_down: float, has_snr: bool) -> None:
        """A report came: packets that completed the hop, packets dropped because it was down."""
        self.reports += 1
        if (out == 0 and dropped_down > 0) or (self._had_snr and not has_snr and out == 0):
            self._sign(True, begins_s)
        elif out > 0 or (has_snr and dropped_down == 0):
            self._sign(False, begins_s)
        self._had_snr = self._had_snr or has_snr

    def _sign(self, down: bool, begins_s: float) -> None:
        if not down:
            if self.back_windows == 0:
                self.ended_s = begins_s
            self.back_windows += 1
            self.down_windows = 0
            return
        if self.down_windows == 0:
            self.onset_s = begins_s
        self.down_windows += 1
        self.back_windows = 0
