"""Radio figures as published, in clear sky and with nobody else there: what access decisions may rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.profiles import Profiles
from emulator.radio.budget import evaluate
from emulator.spec import Place
from emulator.topology.policies import Nominal
from emulator.weather import Weather

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]


def nominal_of(places: Sequence[Place], profiles: Profiles, weather: Weather) -> Nominal:
    """Nominal SNR in dB and rate in bit/s towards a terminal, of each that offers to serve it."""

    own = np.array(
        [profiles.of_radio(place.radio) + 1 if place.radio else 0 for place in places], dtype=np.int32
    )

    def towards(place: Indices, providers: Indices) -> Indices:
        """Profile down of each link [k]: a station has its own radio, satellites that of the terminal."""
        profile = np.full(len(providers), own[place], dtype=np.int32)
        stations = np.flatnonzero(providers < len(places))
        profile[stations] = own[providers[stations]]
        return profile

    def snr_db(place: Indices, providers: Indices, range_m: Floats, elevation_deg: Floats) -> Floats:
        profile = towards(place, providers)
        sky = np.ones(len(providers), dtype=np.bool_)
        stations = np.flatnonzero(providers < len(places))
        sky[stations] = weather.high[providers[stations]]
        nothing = np.zeros(len(providers))
        terms = evaluate(
            profiles.figures.where(profile - profiles.first_radio),
            weather.tables,
            np.where(sky, weather.which[place, profile], np.int32(-1)),
            range_m,
            elevation_deg,
            through_sky=sky,
            rain_db=nothing,
            further_db=nothing,
        )
        return terms.snr_db

    def rate_bps(place: Indices, providers: Indices, range_m: Floats, elevation_deg: Floats) -> Floats:
        profile = towards(place, providers)
        snr = snr_db(place, providers, range_m, elevation_deg)
        columns, modcods = profiles.columns, profiles.modcods
        table = columns["table"][profile]
        fresh = np.full(len(profile), -1, dtype=np.int16)
        chosen = modcods.select(
            snr, table, fresh, columns["margin_db"][profile], columns["hysteresis_db"][profile]
        )
        bandwidth = profiles.figures.bandwidth_mhz[profile - profiles.first_radio] * 1e6
        # a link on which next to no frame arrives promises nothing
        arrives = 1.0 - modcods.frame_error(snr, table, chosen)
        return modcods.rate_bps(table, chosen, bandwidth) * arrives

    return Nominal(snr_db, rate_bps)
