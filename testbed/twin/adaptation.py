"""Which ModCods a link may be using, given how well its SNR is known: their rates over the believed one.

Adaptive coding remembers: what it uses depends on the SNR it had before, within its hysteresis. A twin that
learned of a bias or a fade later than the modem did may believe in a neighbour of the ModCod in use.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from emulator.spec import RadioSpec, WorldSpec

if TYPE_CHECKING:
    from testbed.twin.nominal import NominalLink


class Ladder:
    """The ModCods of a world's radios, by the group of a link (`NominalLink.group`)."""

    def __init__(self, world: WorldSpec) -> None:
        self._radios = {radio.name: radio for radio in world.radios}
        #: group -> efficiencies, thresholds in dB, margin and hysteresis in dB
        self._tables: dict[str, tuple[list[float], list[float], float, float] | None] = {}

    def others(self, link: NominalLink, doubt_db: float) -> tuple[float, ...]:
        """Rates over `link.rate_bps` of the ModCods other than the believed one that an SNR within `doubt_db`
        of the predicted one allows for.
        """
        if not math.isfinite(link.snr_db):
            return ()
        if link.group not in self._tables:
            self._tables[link.group] = self._table(link.group)
        table = self._tables[link.group]
        if table is None:
            return ()
        rates, thresholds, margin_db, hysteresis_db = table
        spare = link.snr_db - margin_db
        low = max(_fastest(thresholds, spare - hysteresis_db - doubt_db), 0)
        high = max(_fastest(thresholds, spare + doubt_db), 0)
        if low == high:
            return ()
        return tuple(
            rate / link.rate_bps for rate in rates[low : high + 1] if abs(rate / link.rate_bps - 1.0) > 1e-6
        )

    def _table(self, group: str) -> tuple[list[float], list[float], float, float] | None:
        from emulator.radio.modcod import modcod_table

        _, _, rest = group.partition("/")
        name, _, direction = rest.rpartition("/")
        radio: RadioSpec | None = self._radios.get(name)
        if radio is None:
            return None
        table = modcod_table(radio.modcods)
        away = direction in ("up", "over")
        bandwidth_hz = 1e6 * (radio.up_bandwidth_mhz if away else radio.down_bandwidth_mhz)
        rates = (np.asarray(table.efficiency) * bandwidth_hz).tolist()
        return rates, sorted(table.threshold_db.tolist()), radio.margin_db, radio.hysteresis_db


def _fastest(thresholds: list[float], snr_db: float) -> int:
    return bisect_right(thresholds, snr_db) - 1
