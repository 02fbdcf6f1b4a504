"""Time and the rotation from TEME, the frame of SGP4, to the Earth-fixed frame.

Sidereal time is the IAU-82 expression (Aoki et al. 1982) with UT1 from Skyfield's built-in table;
polar motion, below 20 m at the surface (0.6 arc seconds), is neglected.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.units import ORDINAL_ZERO_JULIAN_DAY, SECONDS_PER_DAY

_J2000 = 2451545.0
#: run times reach this far, s: a hundred years, long after which no elements say anything; deep space is
#: integrated from the epoch, so that any number given would be worked off
FARTHEST_S = 100.0 * 365.25 * SECONDS_PER_DAY


def parse_utc(text: str) -> datetime:
    """An ISO 8601 instant in UTC. Raises `WorldError` when it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise WorldError(f"start_utc is {text!r}, should be like 2025-10-01T12:00:00Z") from None
    if moment.tzinfo is None:
        raise WorldError(f"start_utc is {text!r}, it needs a Z at the end (UTC)")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise WorldError(f"start_utc is {text!r}, should be in the years 1 to 9999 UTC") from None


class RunClock:
    """Run time to Julian dates and sidereal time. A leap second in a run is not counted.

    `start_utc`: ISO 8601; `t_s` everywhere: seconds after it. UT1 - UTC is looked up once for the
    start: it changes by about a millisecond a day, half a metre at the equator.
    """

    def __init__(self, start_utc: str) -> None:
        moment = parse_utc(start_utc)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        #: UTC seconds of the day at the start
        self.second_of_day = (moment - midnight).total_seconds()
        #: Julian day of the midnight before the start, and the start's fraction of the day
        self.julian_day = ORDINAL_ZERO_JULIAN_DAY + midnight.toordinal()
        self.day_fraction = self.second_of_day / SECONDS_PER_DAY
        self.ut1_utc_s = _ut1_minus_utc(moment)

    def julian(self, t_s: float) -> tuple[float, float]:
        """(Julian day, fraction) in UTC of run time `t_s`, as SGP4 takes them."""
        return self.julian_day, self.day_fraction + t_s / SECONDS_PER_DAY

    def sidereal_rad(self, t_s: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        """Greenwich mean sidereal time, rad, IAU-82 (Vallado 2013, eq. 3-47)."""
        ut1_day = (self.second_of_day + t_s + self.ut1_utc_s) / SECONDS_PER_DAY
        centuries = (self.julian_day - _J2000 + ut1_day) / 36525.0
        seconds = 67310.54841 + centuries * (8640184.812866 + centuries * (0.093104 - 6.2e-6 * centuries))
        # 876600 hours a century are whole turns of UT1: taken from the day's fraction, not from the
        # product, so that nothing is lost to rounding
        turns = (self.julian_day - _J2000) % 1.0 + ut1_day
        return ((seconds / SECONDS_PER_DAY + turns) % 1.0) * (2.0 * math.pi)


def _ut1_minus_utc(moment: datetime) -> float:
    """UT1 - UTC in s from Skyfield's own files; nothing is fetched."""
    return float(_timescale().from_datetime(moment).dut1)


@cache
def _timescale() -> Any:
    """Skyfield's scales of time, read once. Imported here: it takes 0.2 s."""
    from skyfield.api import load

    return load.timescale(builtin=True)
