"""What the emulator sees from a dish over the time of a record: directions, candidates, policies' choices."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.serving_record import Parameters

Floats = NDArray[np.float64]

#: beyond, what is compared is the elements' age and no model: satellites in low orbits manoeuvre by then
_OLDEST_DAYS = 30.0


class Sky:
    """What the emulator sees from the dish's site over the time of a measurement."""

    def __init__(self, parameters: Parameters, time_s: Floats, source: str = "the record") -> None:
        from emulator.geometry import ecef_from_geodetic, enu_axes
        from emulator.orbits.elements import load_elements, usable
        from emulator.orbits.ephemeris import Ephemeris
        from emulator.orbits.frames import RunClock
        from emulator.orbits.history import select

        self._parameters = parameters
        #: POSIX seconds of run time 0: before the first slot of the measurement
        self.start_s = math.floor(float(time_s[0])) - 2.0 * parameters.slot_s
        end_s = float(time_s[-1]) - self.start_s + parameters.slot_s
        self._clock = RunClock(datetime.fromtimestamp(self.start_s, UTC).isoformat())
        ends = [self._clock.julian(0.0), self._clock.julian(end_s)]
        middle = self._clock.julian(0.5 * end_s)
        chosen, ages_s = select(load_elements(parameters.elements), middle)
        #: how long before the middle of the record the epochs are, the median in days
        self.age_days = float(np.median(ages_s)) / 86_400.0
        if abs(self.age_days) > _OLDEST_DAYS:
            raise BadInput(
                f"{parameters.elements}: its elements are {abs(self.age_days):.0f} days "
                f"{'older' if self.age_days > 0.0 else 'younger'} than {source}, "
                f"{_OLDEST_DAYS:g} days at most are allowed"
            )
        elements, _ = usable(chosen, ends)
        #: satellite's name -> its row
        self.index = {name: row for row, (name, _) in enumerate(elements)}
        self.names = [name for name, _ in elements]
        self._ephemeris = Ephemeris([record for _, record in elements], self._clock)
        where = parameters.latitude_deg, parameters.longitude_deg
        self._place = ecef_from_geodetic(*where, parameters.altitude_m)
        self._axes = enu_axes(*where)
        self._sine = math.sin(math.radians(parameters.min_elevation_deg))

    def _rays(self, time_s: float, rows: NDArray[np.int32] | None = None) -> Floats:
        """Unit vectors east, north, up [satellites, 3] from the dish."""
        ray = self._ephemeris.positions(time_s - self.start_s, rows) - self._place
        return np.asarray((ray / np.linalg.norm(ray, axis=1, keepdims=True)) @ self._axes.T)

    def directions(self, time_s: Floats, names: NDArray[np.str_]) -> Floats:
        """Unit vectors east, north, up [n, 3] of the named satellites, each at its own time."""
        rows = np.array([self.index[name] for name in names], dtype=np.int32)
        seconds = zip(time_s.tolist(), rows[:, None], strict=True)
        return np.concatenate([self._rays(at_s, row) for at_s, row in seconds])

    def candidates(self, time_s: float) -> set[int]:
        """Rows of the satellites above the least elevation."""
        return set(np.flatnonzero(self._rays(time_s)[:, 2] >= self._sine).tolist())

    def chosen(self, policy: str, starts_s: Floats) -> list[str]:
        """The satellite that the policy has the dish use in each slot, "" for none."""
        from emulator.spec import AccessSpec, Place
        from emulator.topology.access import Access

        p = self._parameters
        dish = Place(
            "dish", "ground", p.latitude_deg, p.longitude_deg, p.altitude_m, access="terminal",
            min_elevation_deg=p.min_elevation_deg,
        )  # fmt: skip
        rules = AccessSpec(
            policy, p.hysteresis_deg, p.hysteresis_db, decision_interval_s=p.slot_s,
            decision_offset_s=p.slot_offset_s % p.slot_s,
        )  # fmt: skip
        access = Access(
            rules, [dish], [], self._ephemeris, self._clock.second_of_day, False, _clear_sky()
        )  # fmt: skip
        names = []
        for start_s in starts_s.tolist():
            access.advance(start_s - self.start_s)
            provider = access.choice.serving[0]
            # the dish is place 0, satellites follow
            names.append(self.names[provider - 1] if provider > 0 else "")
        return names


def _clear_sky() -> Any:
    """Nominal figures of a link down in Starlink's band, for the policies that look at them.

    Only their order matters: range alone decides the SNR, and the ModCod that it buys the rate.
    """
    from emulator.radio.budget import free_space_loss_db, snr_db
    from emulator.radio.modcod import modcod_table
    from emulator.spec import RadioSpec
    from emulator.topology.policies import Nominal

    radio, table = RadioSpec("ku", down_frequency_ghz=11.7, down_bandwidth_mhz=240.0), modcod_table("dvb-s2x")

    def snr(_place: int, _provider: NDArray[np.int32], range_m: Floats, _elevation_deg: Floats) -> Floats:
        loss = free_space_loss_db(range_m, radio.down_frequency_ghz) + radio.implementation_loss_db
        ends = np.full((3, len(loss)), [[radio.down_eirp_dbw], [radio.down_g_over_t_db_k], [240.0]])
        return snr_db(ends[0], ends[1], ends[2], loss)

    def rate(place: int, provider: NDArray[np.int32], range_m: Floats, elevation_deg: Floats) -> Floats:
        level = snr(place, provider, range_m, elevation_deg)
        new, none = np.full(len(level), -1, dtype=np.int16), np.zeros(len(level))
        chosen = table.select(level, new, np.full(len(level), radio.margin_db), none)
        return np.asarray(table.efficiency[chosen] * radio.down_bandwidth_mhz * 1e6)

    return Nominal(snr, rate)
