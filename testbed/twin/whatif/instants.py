"""When the link tables of a what-if are computed: seldom, and at the moments at which something changes.

A table that comes a second after terminals have chosen leaves packets on links that nobody is on any more:
where links are nearly full, that alone changes latencies by a tenth. So tables go by the instants at which
satellites are chosen, and there is one where orders of candidates are obeyed first: as in the network, that
is the epoch after the moment at which they are given.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.orbits.frames import RunClock
from testbed.twin.public import Public

#: tables are about so far apart: within it a satellite's range changes by a few kilometres, which is 10 us of
#: delay on average, and signals change by less than a step of a ladder of ModCods
_EPOCH_S: Final = 1.0
#: and so many at most, or up to twice as many where satellites are chosen seldom
_EPOCHS: Final = 80
#: instants as close as that are one
_SAME_S: Final = 1e-6


def instants_s(public: Public, start_s: float, at_s: float, span_s: float) -> NDArray[np.float64]:
    """Run times (s) of tables for `span_s` from `start_s` on, rising: the first is `start_s`.

    `at_s`: when candidates begin; one of the tables is that of the network's next epoch.
    """
    access = public.world.access
    step_s = _step_s(access.decision_interval_s, max(public.run.epoch_s, _EPOCH_S, span_s / _EPOCHS))
    # an instant of choice, in run time
    chosen_s = access.decision_offset_s - RunClock(public.world.start_utc).second_of_day
    first = math.ceil((start_s - chosen_s) / step_s - _SAME_S)
    last = math.ceil((start_s + span_s - chosen_s) / step_s - _SAME_S)
    grid = chosen_s + np.arange(first, last) * step_s
    obeyed_s = at_s + public.run.epoch_s
    times = np.sort(np.concatenate(([start_s, obeyed_s], grid)))
    apart = np.concatenate(([True], np.diff(times) > _SAME_S))
    return np.asarray(times[apart])


def evenly_s(epoch_s: float, start_s: float, span_s: float) -> NDArray[np.float64]:
    """Run times (s) of tables `epoch_s` apart."""
    return np.asarray(start_s + np.arange(math.ceil(span_s / epoch_s - _SAME_S)) * epoch_s)


def _step_s(interval_s: float, wanted_s: float) -> float:
    """A part or a multiple of the interval between choices, as near below what is wanted as there is one."""
    if interval_s > wanted_s:
        return interval_s / math.ceil(interval_s / wanted_s - _SAME_S)
    return interval_s * math.floor(wanted_s / interval_s + _SAME_S)
