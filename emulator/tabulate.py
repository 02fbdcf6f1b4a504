"""From where things are to the columns of the link table: the compiled steps of an epoch over a set of links.

Layouts and kernels only. What they are given is put together in `rows`, `hidden` and `world`; the models that
they call are in `geometry` and `radio`. Rows of the table are counted [n], those with a radio [k].
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.geometry.sight import elevations, ranges
from emulator.jit import kernel
from emulator.radio.budget import EXCESS, GAS, SNR, SURROUNDINGS, fill_budgets
from emulator.radio.modcod import carry, choose, fail
from emulator.units import ROUTING_PACKET_BITS, SPEED_OF_LIGHT_M_S

Floats = NDArray[np.float64]

_NS_PER_M: Final = 1e9 / SPEED_OF_LIGHT_M_S
_ROUTING_BITS_NS: Final = ROUTING_PACKET_BITS * 1e9


class RadioRows(NamedTuple):
    """What kernels know of the radio rows [k] besides their figures."""

    #: in the link table
    row: NDArray[np.intp]
    #: place that owns the radio, and the other end
    owner: NDArray[np.int32]
    far: NDArray[np.int32]
    #: number of the table of the atmosphere, -1 for none
    which: NDArray[np.int32]
    #: whether the far end is on a satellite or above the weather, seen from the place through the sky
    through_sky: NDArray[np.bool_]
    #: whether a fixed link leads from above the weather to a place below, whose air counts then
    downwards: NDArray[np.bool_]
    #: number of the table of ModCods, and the one in use
    table: NDArray[np.int32]
    current: NDArray[np.int16]
    margin_db: Floats
    hysteresis_db: Floats
    bandwidth_hz: Floats


class Hidden(NamedTuple):
    """What is hidden, as columns by row [n], and by radio row [k] where that is said; see `hidden`."""

    up: NDArray[np.bool_]
    fixed_ns: Floats
    extra_delay_ns: Floats
    rate_factor: Floats
    loss: Floats
    #: [k] what is lost in the modems besides
    further_db: Floats


class Moment(NamedTuple):
    """What an epoch finds on the radio rows [k], before their budgets."""

    length_m: Floats
    elevation_deg: Floats
    #: of the moment, besides what is counted on
    rain_db: Floats
    #: what surroundings take, not a number where that is not known
    around_db: Floats
    #: interference over noise as a ratio
    disturbance: Floats


class Columns(NamedTuple):
    """What an epoch makes of a set of links, by row [n]; not a number where no radio is modelled."""

    rate_bps: Floats
    frame_error: Floats
    snr_db: Floats
    attenuation_db: Floats
    elevation_deg: Floats
    #: what a way over the link counts for, infinite for none
    weight_ns: Floats
    delay_ns: NDArray[np.int64]
    modcod: NDArray[np.int16]


@kernel
def measure(position: Any, axes: Any, src: Any, dst: Any, radio: Any, as_given: Any, out: Any) -> None:
    """Into `out`: range in m by row [n]; range in m and elevation in degrees by radio row [k].

    `position` [places, 3] m, `axes` [spec places, 3, 3]; `as_given` [n]: links whose length does not count.
    """
    range_m, length_m, elevation_deg = out
    ranges(position, src, dst, range_m)
    for row in range(range_m.shape[0]):
        if as_given[row]:
            range_m[row] = np.nan
    for k in range(length_m.shape[0]):
        length_m[k] = range_m[radio.row[k]]
    elevations(position, axes, radio.owner, position, radio.far, elevation_deg)


@kernel
def _adapt(
    figures: Any, radio: Any, modcods: Any, atmosphere: Any, moment: Any, further_db: Any, out: Any
) -> None:
    """Budgets of the radio rows [k], ModCods brought up to date, and what these carry.

    Into `out`: elevation of the path in the atmosphere [k], `terms` [TERMS, k], bit/s [k], frame error [k].
    """
    sky_deg, terms, rate_bps, frame_error = out
    start, threshold_db, efficiency, steepness, half_below_db = modcods
    for k in range(sky_deg.shape[0]):
        # from below, but for what the Earth curves between the ends: 0.9 degrees over 100 km
        sky_deg[k] = -moment.elevation_deg[k] if radio.downwards[k] else moment.elevation_deg[k]
    fill_budgets(
        figures, atmosphere, radio.which, moment.length_m, moment.elevation_deg, sky_deg, radio.through_sky,
        moment.rain_db, further_db, moment.around_db, moment.disturbance, terms,
    )  # fmt: skip
    snr_db = terms[SNR]
    choose(
        snr_db, radio.table, radio.current, radio.margin_db, radio.hysteresis_db, start, threshold_db,
        radio.current,
    )  # fmt: skip
    carry(radio.table, radio.current, radio.bandwidth_hz, start, efficiency, rate_bps)
    fail(snr_db, radio.table, radio.current, start, threshold_db, steepness, half_below_db, frame_error)


@kernel
def tabulate(
    figures: Any,
    radio: Any,
    modcods: Any,
    atmosphere: Any,
    moment: Any,
    scratch: Any,
    rate_bps: Any,
    as_given: Any,
    range_m: Any,
    hidden: Any,
    columns: Any,
) -> None:
    """`columns` of all rows: those of the radio rows adapted, all with what is hidden.

    `scratch`: as `_adapt` fills it; `rate_bps` [n]: of links without a radio; `as_given`, `range_m` [n]: as
    `measure` has them.
    """
    _adapt(figures, radio, modcods, atmosphere, moment, hidden.further_db, scratch)
    _, terms, radio_rate_bps, radio_error = scratch
    for row in range(range_m.shape[0]):
        columns.rate_bps[row] = rate_bps[row]
        columns.frame_error[row] = 0.0
        columns.snr_db[row] = columns.attenuation_db[row] = columns.elevation_deg[row] = np.nan
        columns.modcod[row] = -1
    for k in range(radio.row.shape[0]):
        row = radio.row[k]
        columns.rate_bps[row], columns.frame_error[row] = radio_rate_bps[k], radio_error[k]
        columns.snr_db[row] = terms[SNR, k]
        columns.attenuation_db[row] = terms[GAS, k] + terms[EXCESS, k] + terms[SURROUNDINGS, k]
        columns.elevation_deg[row], columns.modcod[row] = moment.elevation_deg[k], radio.current[k]
    for row in range(range_m.shape[0]):
        way_ns = 0.0 if as_given[row] else range_m[row] * _NS_PER_M
        delay_ns = hidden.fixed_ns[row] + way_ns + hidden.extra_delay_ns[row]
        columns.rate_bps[row] *= hidden.rate_factor[row]
        rate = columns.rate_bps[row]
        open_ = hidden.up[row] and rate > 0.0
        columns.weight_ns[row] = delay_ns + _ROUTING_BITS_NS / rate if open_ else np.inf
        columns.delay_ns[row] = round(delay_ns)
