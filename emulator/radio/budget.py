"""The link budget: from the two ends' published figures, distance and weather to a signal-to-noise ratio.

`Figures` holds the radio figures of many links as columns, `evaluate` works out every term of their
budgets, `fill_budgets` does inside kernels; `link_budget` asks the same for one radio over arrays of distance
and elevation, with the ModCod that the result buys. What hits a link besides (hidden bias, weather of the
moment, interference) is an argument: interference needs to know of other links and comes from who knows them
(`interference`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator import ranges
from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.radio import attenuation_table, surroundings
from emulator.radio.antennas import antenna_parameters, pointing_gain
from emulator.radio.attenuation_table import look_up_one
from emulator.radio.modcod import modcod_table
from emulator.radio.noise import g_over_t_loss
from emulator.radio.slant_path import PathRequest, slant_path, stacked
from emulator.spec import Place, RadioSpec
from emulator.units import BOLTZMANN_DBW_K_HZ, LEAST_RANGE_M, SPEED_OF_LIGHT_M_S

Floats = NDArray[np.float64]

#: free-space loss over a metre at 1 GHz, dB: 20 log10(4 pi d f / c)
_METRE_AT_GHZ_DB: Final = 20.0 * math.log10(4.0 * math.pi * 1e9 / SPEED_OF_LIGHT_M_S)
#: noise power density of 1 K in 1 MHz, dBW
_KELVIN_IN_MHZ_DBW: Final = BOLTZMANN_DBW_K_HZ + 60.0

#: the terms of a budget as `fill_budgets` numbers them, in the order of `Budget`
FREE_SPACE, GAS, EXCESS, SURROUNDINGS, POINTING, NOISE_RISE, INTERFERENCE_RISE, FURTHER, SNR = range(9)
TERMS: Final = 9


def free_space_loss_db(range_m: ArrayLike, frequency_ghz: ArrayLike) -> Floats:
    """Basic free-space transmission loss in dB, ITU-R P.525-4 eq. 3: 20 log10(4 pi d f / c)."""
    return np.asarray(_METRE_AT_GHZ_DB + 20.0 * (np.log10(range_m) + np.log10(frequency_ghz)))


def snr_db(eirp_dbw: Floats, g_over_t_db_k: Floats, bandwidth_mhz: Floats, loss_db: Floats) -> Floats:
    """Signal-to-noise ratio in dB in the bandwidth: EIRP + G/T - losses - 10 log10(k B)."""
    return eirp_dbw + g_over_t_db_k - loss_db - (_KELVIN_IN_MHZ_DBW + 10.0 * np.log10(bandwidth_mhz))


class Figures(NamedTuple):
    """Published radio figures of n links in one direction each; arrays [n], antennas [n, 5]."""

    frequency_ghz: Floats
    bandwidth_mhz: Floats
    eirp_dbw: Floats
    g_over_t_db_k: Floats
    implementation_db: Floats
    #: clear-sky system noise of the receiver, K, where weather adds to it; 0 where it does not
    system_noise_k: Floats
    #: percentage of the year for which the attenuation counted on is exceeded; 0: clear sky
    weather_percent: Floats
    environment: NDArray[np.int64]
    band: NDArray[np.int64]
    #: see `antennas.antenna_parameters`
    place_antenna: Floats
    far_antenna: Floats

    @staticmethod
    def of(directions: Sequence[tuple[RadioSpec, bool]]) -> Figures:
        """One link each of (radio, whether down). Raises `WorldError` naming radio and key."""
        rows = [_figures(radio, down) for radio, down in directions]
        return Figures(*(_column(name, [row[name] for row in rows]) for name in Figures._fields))

    def where(self, index: NDArray[np.integer]) -> Figures:
        """Those of an index array."""
        return Figures(*(column[index] for column in self))


def _column(name: str, values: list[object]) -> NDArray[Any]:
    dtype = np.int64 if name in ("environment", "band") else np.float64
    return np.array(values, dtype=dtype).reshape(len(values), *([5] if name.endswith("antenna") else []))


def _figures(radio: RadioSpec, down: bool) -> dict[str, object]:
    side = "down" if down else "up"
    frequency = getattr(radio, f"{side}_frequency_ghz")
    try:
        antennas = {
            end: antenna_parameters(getattr(radio, end), frequency)
            for end in ("place_antenna", "far_antenna")
        }
        environment = surroundings.environment_code(radio.environment)
    except WorldError as error:
        raise WorldError(f"radio {radio.name!r}: {error}") from None
    return {
        "frequency_ghz": float(frequency),
        "bandwidth_mhz": float(getattr(radio, f"{side}_bandwidth_mhz")),
        "eirp_dbw": float(getattr(radio, f"{side}_eirp_dbw")),
        "g_over_t_db_k": float(getattr(radio, f"{side}_g_over_t_db_k")),
        "implementation_db": float(radio.implementation_loss_db),
        "system_noise_k": float(radio.down_system_noise_k) if down else 0.0,
        "weather_percent": float(radio.weather_percent),
        "environment": environment,
        "band": surroundings.band_code(frequency),
        **antennas,
    }


def check_radio(radio: RadioSpec) -> None:
    """Raise `WorldError` naming the key for figures that no radio can have."""
    what = f"radio {radio.name!r}: "
    ranges.above_zero(radio, what, "up_frequency_ghz", "down_frequency_ghz")
    ranges.above_zero(radio, what, "up_bandwidth_mhz", "down_bandwidth_mhz", "queue_kbytes")
    ranges.not_below_zero(radio, what, "down_system_noise_k", "hysteresis_db", "processing_ms", "jitter_ms")
    ranges.finite(radio, what, "up_eirp_dbw", "down_eirp_dbw", "up_g_over_t_db_k", "down_g_over_t_db_k")
    ranges.finite(radio, what, "implementation_loss_db", "margin_db")
    ranges.probability(radio, what, "loss")
    ranges.room_for_a_packet(radio, what, "queue_packets")
    least, most = attenuation_table.LEAST_PERCENT, attenuation_table.MOST_PERCENT
    if radio.weather_percent != 0.0 and not least <= radio.weather_percent <= most:
        raise WorldError(
            f"{what}weather_percent is {radio.weather_percent:g}, allowed: 0 (clear sky) or "
            f"{least:g} to {most:g}"
        )


@dataclass(frozen=True)
class Budget:
    """Every term of n budgets, arrays in dB, losses positive."""

    free_space_db: Floats
    #: clear-sky gases
    gas_db: Floats
    #: rain, clouds and scintillation: what is counted on, and what was given
    excess_db: Floats
    #: what stands around the place
    surroundings_db: Floats
    #: antennas that do not point at the other end
    pointing_db: Floats
    #: noise that weather adds
    noise_rise_db: Floats
    #: disturbance by other links, as a rise of the noise
    interference_rise_db: Floats
    #: of the modems, and what was given
    further_db: Floats
    snr_db: Floats

    @property
    def attenuation_db(self) -> Floats:
        """What the way takes beyond free space."""
        return self.gas_db + self.excess_db + self.surroundings_db

    def disturbed(self, interference_over_noise: Floats) -> Budget:
        """The same with interference, given as ratio to the noise [n], not in dB."""
        rise = 10.0 * np.log10(1.0 + interference_over_noise)
        return replace(self, interference_rise_db=rise, snr_db=self.snr_db - rise)


@kernel
def fill_budgets(
    figures: Any,
    tables: Any,
    which: Any,
    range_m: Any,
    elevation_deg: Any,
    sky_deg: Any,
    through_sky: Any,
    rain_db: Any,
    further_db: Any,
    around_db: Any,
    disturbance: Any,
    terms: Any,
) -> None:
    """Every term of n budgets into `terms` [TERMS, n] in dB, numbered as above.

    `figures`: `Figures` of n links; what has a name that `evaluate` has is as there. `sky_deg` [n]: elevation
    of the path in the atmosphere, which need not be that of the far end from the place; `around_db` [n]: what
    the surroundings take, not a number where that is not known and their mean is taken; `disturbance` [n]:
    interference over noise, as a ratio.
    """
    for n in range(len(range_m)):
        gas, counted, absorbed = look_up_one(tables, which[n], sky_deg[n], figures.weather_percent[n])
        # the receiver's own noise is that of a clear sky, not of the gases that are counted on
        clear = gas
        if figures.weather_percent[n] > 0.0:
            clear, _, _ = look_up_one(tables, which[n], sky_deg[n], 0.0)
        elevation_rad = math.radians(elevation_deg[n])
        around = around_db[n]
        if math.isnan(around):
            environment = figures.environment[n] if through_sky[n] else surroundings.NONE
            around = surroundings.mean_loss(environment, figures.band[n], elevation_rad)
        gain = pointing_gain(figures.place_antenna[n], figures.far_antenna[n], elevation_rad, range_m[n])
        rise = g_over_t_loss(gas - clear + absorbed + rain_db[n], clear, figures.system_noise_k[n])
        excess = counted + rain_db[n]
        # written so that what is not a number stays so
        length = LEAST_RANGE_M if range_m[n] < LEAST_RANGE_M else range_m[n]
        free_space = _METRE_AT_GHZ_DB + 20.0 * (math.log10(length) + math.log10(figures.frequency_ghz[n]))
        further = figures.implementation_db[n] + further_db[n]
        loss = free_space + gas + excess + around - gain + rise + further
        disturbed = 10.0 * math.log10(1.0 + disturbance[n])
        noise_dbw_k = _KELVIN_IN_MHZ_DBW + 10.0 * math.log10(figures.bandwidth_mhz[n])
        terms[FREE_SPACE, n], terms[GAS, n], terms[EXCESS, n] = free_space, gas, excess
        terms[SURROUNDINGS, n], terms[POINTING, n], terms[NOISE_RISE, n] = around, -gain, rise
        terms[INTERFERENCE_RISE, n], terms[FURTHER, n] = disturbed, further
        terms[SNR, n] = figures.eirp_dbw[n] + figures.g_over_t_db_k[n] - loss - noise_dbw_k - disturbed


def evaluate(
    figures: Figures,
    tables: Floats,
    which: NDArray[np.int32],
    range_m: Floats,
    elevation_deg: Floats,
    *,
    through_sky: NDArray[np.bool_],
    rain_db: Floats,
    further_db: Floats,
) -> Budget:
    """The budgets of n links, without interference. What hits them besides is in `fill_budgets`.

    `tables` [t, WIDTH] of the atmosphere and `which` [n] of them holds, -1 for none (see
    `attenuation_table`); `range_m`, `elevation_deg` [n] of the far end from the place; `through_sky` [n]:
    where what stands around the place is in the way; `rain_db` [n]: attenuation of the moment, on top of
    what is counted on (below 0 where a belief has less); `further_db` [n]: losses besides. Of surroundings
    the mean is taken.
    """
    terms = np.empty((TERMS, len(range_m)))
    not_known, nothing = np.full(len(range_m), np.nan), np.zeros(len(range_m))
    fill_budgets(
        figures, tables, which, range_m, elevation_deg, elevation_deg, through_sky, rain_db, further_db,
        not_known, nothing, terms,
    )  # fmt: skip
    return Budget(*terms)


def path_request(radio: RadioSpec, place: Place, down: bool) -> PathRequest:
    """The way through the atmosphere of a place's radio in one direction."""
    frequency = radio.down_frequency_ghz if down else radio.up_frequency_ghz
    return PathRequest(place, frequency, diameter_m=radio.place_antenna.diameter_m)


@dataclass(frozen=True)
class LinkBudget:
    """Terms of a budget and what they buy; arrays of the shape that was asked for."""

    terms: Budget
    #: index in the radio's table, its label is `labels[modcod]`; the most robust where none fits
    modcod: NDArray[np.int16]
    labels: tuple[str, ...]
    rate_bps: Floats
    #: probability that a frame of `frame_bits` is lost
    frame_error: Floats
    frame_bits: int

    @property
    def snr_db(self) -> Floats:
        """Signal-to-noise ratio in the bandwidth of the radio."""
        return self.terms.snr_db


def link_budget(
    radio: RadioSpec,
    range_m: ArrayLike,
    elevation_deg: ArrayLike,
    *,
    down: bool = True,
    place: Place | None = None,
    rain_db: ArrayLike = 0.0,
) -> LinkBudget:
    """Budget of a radio towards the sky over arrays of distance in m and elevation in degrees.

    `down`: towards the place that owns the radio, else away from it. `place`: whose atmosphere counts
    (gases, and the weather of `radio.weather_percent`); without one there is none. `rain_db`: attenuation
    besides. The arrays broadcast together and give the shape of the result. Raises `WorldError` with one
    sentence for figures, elevations or distances that cannot be, `MissingPackageError` when the atmosphere
    must be looked up and the itur package is not there.
    """
    check_radio(radio)
    given = [np.asarray(each, dtype=np.float64) for each in (range_m, elevation_deg, rain_db)]
    try:
        distance, elevation, rain = np.broadcast_arrays(*given)
    except ValueError:
        shapes = ", ".join(str(each.shape) for each in given)
        raise WorldError(
            f"range_m, elevation_deg and rain_db have shapes {shapes}, which do not broadcast together"
        ) from None
    if not np.all(distance > 0.0):
        raise WorldError(f"range_m is {distance[~(distance > 0.0)].flat[0]:g}, it must be above 0")
    if not np.all(np.abs(elevation) <= 90.0):
        wrong = elevation[~(np.abs(elevation) <= 90.0)].flat[0]
        raise WorldError(f"elevation_deg is {wrong:g}, allowed: -90 to 90")
    shape, count = distance.shape, distance.size
    one = Figures.of([(radio, down)])
    figures = one.where(np.zeros(count, dtype=np.intp))
    paths = []
    if place is not None and radio.weather:
        paths = [slant_path(path_request(radio, place, down))]
    terms = evaluate(
        figures,
        stacked(paths),
        np.full(count, len(paths) - 1, dtype=np.int32),
        distance.flatten(),
        elevation.flatten(),
        through_sky=np.ones(count, dtype=np.bool_),
        rain_db=rain.flatten(),
        further_db=np.zeros(count),
    )
    table = modcod_table(radio.modcods)
    margin, ease = np.full(count, radio.margin_db), np.full(count, radio.hysteresis_db)
    chosen = table.select(terms.snr_db, np.full(count, -1, dtype=np.int16), margin, ease)
    error = table.frame_error(terms.snr_db, chosen)
    rate = table.efficiency[chosen] * figures.bandwidth_mhz * 1e6
    shaped = Budget(**{field.name: getattr(terms, field.name).reshape(shape) for field in fields(terms)})
    return LinkBudget(
        shaped,
        chosen.reshape(shape),
        table.labels,
        rate.reshape(shape),
        error.reshape(shape),
        table.frame_bits,
    )
