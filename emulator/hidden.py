"""What is hidden of the links of a world: `Adjustments` by name, as columns over one set of rows.

Columns are made anew when the rows or what is asked of them have changed since the last epoch, which is
seldom. Attenuation, shadowing and orbits vary from epoch to epoch and are not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from emulator.profiles import Profiles
from emulator.rows import Rows
from emulator.table import Adjustments, Link
from emulator.tabulate import Hidden


class HiddenColumns:
    """The columns of one world.

    `profiles`: of its links; `place_index`: places by name, a place on a satellite being the satellite;
    `places`: how many there are.
    """

    def __init__(self, profiles: Profiles, place_index: Mapping[str, int], places: int) -> None:
        self._profiles, self._place_index, self._places = profiles, place_index, places
        self._rows: Rows | None = None
        self._asked: tuple[Any, ...] = ()
        self._made: Hidden | None = None

    def of(self, adjustments: Adjustments, rows: Rows) -> Hidden:
        """What the adjustments are now, on these rows. The columns are not to be written to."""
        asked = (
            adjustments.link_down,
            adjustments.extra_delay_ms,
            adjustments.extra_loss,
            adjustments.rate_factor,
            adjustments.processing_bias,
            adjustments.implementation_loss_bias_db,
        )
        if self._made is None or rows is not self._rows or asked != self._asked:
            # copies: who holds the adjustments changes them in place
            self._rows, self._asked = rows, tuple(each.copy() for each in asked)
            self._made = self._columns(adjustments, rows)
        return self._made

    def _columns(self, adjustments: Adjustments, rows: Rows) -> Hidden:
        count = len(rows.src)
        up, rate_factor = np.ones(count, dtype=np.bool_), np.ones(count)
        fixed_ns, extra_delay_ns, loss = rows.fixed_ns.copy(), np.zeros(count), rows.loss.copy()
        for name, factor in adjustments.processing_bias.items():
            at = rows.radio[rows.radio_number == self._profiles.radio_number(name)]
            fixed_ns[at] = rows.fixed_ns[at] * factor
        up[self._rows_of(adjustments.link_down, rows)] = False
        for link, milliseconds in adjustments.extra_delay_ms.items():
            extra_delay_ns[self._rows_of([link], rows)] += milliseconds * 1e6
        for link, probability in adjustments.extra_loss.items():
            lossy = self._rows_of([link], rows)
            loss[lossy] = 1.0 - (1.0 - loss[lossy]) * (1.0 - probability)
        for link, factor in adjustments.rate_factor.items():
            rate_factor[self._rows_of([link], rows)] *= factor
        at_place = np.zeros(self._places)
        for name, amount in adjustments.implementation_loss_bias_db.items():
            if name in self._place_index:
                at_place[self._place_index[name]] += amount
        # a link has what both its ends have
        further_db = at_place[rows.src[rows.radio]] + at_place[rows.dst[rows.radio]]
        return Hidden(up, fixed_ns, extra_delay_ns, rate_factor, loss, further_db)

    def _rows_of(self, links: Iterable[Link], rows: Rows) -> list[int]:
        """Rows of named directed links; links that are not there now have none."""
        index = self._place_index
        found = (rows.row(index.get(src, -1), index.get(dst, -1)) for src, dst in links)
        return [row for row in found if row >= 0]
