"""Named sets of radio figures: 3GPP's satellites and terminals, and usual ones of the internet of things.

`tr38821-SET-ORBIT-BAND` are the calibration sets of TR 38.821 (tables 6.1.1.1-1 to -3, bandwidths of table
6.1.3.3-1), `tr36763-SET-ORBIT-nb-iot` those of TR 36.763 (tables 6.2-4 to 6.2-7), `lora-cubesat-437` and
`lr-fhss-868` are typical hardware. A set holds the two radios only: what the reports add for the path
(gases, 3 dB of shadowing, scintillation) is for the emulator's own models or the caller, so no
implementation loss is in the sets either. Orbits are not part of a set.

Not verified, as no public copy of the tables was found that shows them: the satellites' G/T in Ka band of
set 1 GEO, of set 1 LEO-1200 (taken as LEO-600's, whose antenna it has), and of all of set 2 (set 1's less
the 8 dB that its antennas have less gain). They are consistent with the rest, no more.

Links of the NB-IoT sets are adapted with the uplink's table in both directions: for the way down, of 180
kHz, the emulator has none of its own.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from emulator.errors import WorldError
from emulator.radio.airtime import LR_FHSS_SYMBOL_RATE_HZ
from emulator.spec import Antenna, RadioSpec

_REFERENCE_K: Final = 290.0


class _Satellite(NamedTuple):
    """One column of the tables: EIRP density dBW/MHz, G/T dB/K, peak gain dBi, aperture m."""

    density_dbw_mhz: float
    g_over_t_db_k: float
    gain_dbi: float
    diameter_m: float
    pointing: str = "tracking"


# densities, gains and apertures of sets 1 and 2 agree with those in QuaDRiGa's calibration script
#: S band, 2 GHz; sets 1 and 2: TR 38.821 tables 6.1.1.1-1 and -2, 3 and 4: TR 36.763 tables 6.2-6 and -7
_S_BAND: Final = {
    ("set1", "geo"): _Satellite(59.0, 19.0, 51.0, 22.0),
    ("set1", "leo1200"): _Satellite(40.0, 1.1, 30.0, 2.0),
    ("set1", "leo600"): _Satellite(34.0, 1.1, 30.0, 2.0),
    ("set2", "geo"): _Satellite(53.5, 14.0, 45.5, 12.0),
    ("set2", "leo1200"): _Satellite(34.0, -4.9, 24.0, 1.0),
    ("set2", "leo600"): _Satellite(28.0, -4.9, 24.0, 1.0),
    ("set3", "geo"): _Satellite(59.8, 16.7, 45.7, 12.0),
    ("set3", "leo1200"): _Satellite(33.7, -12.8, 16.2, 0.4),
    ("set3", "leo600"): _Satellite(28.3, -12.8, 16.2, 0.4),
    ("set4", "leo600"): _Satellite(21.45, -18.6, 11.0, 0.097, "nadir"),
}
#: Ka band, 20 GHz down and 30 GHz up; the aperture is that of the way down (up: two thirds of it)
_KA_BAND: Final = {
    ("set1", "geo"): _Satellite(40.0, 28.0, 58.5, 5.0),
    ("set1", "leo1200"): _Satellite(10.0, 13.0, 38.5, 0.5),
    ("set1", "leo600"): _Satellite(4.0, 13.0, 38.5, 0.5),
    ("set2", "geo"): _Satellite(32.0, 20.0, 50.5, 2.0),
    ("set2", "leo1200"): _Satellite(2.0, 5.0, 30.5, 0.2),
    ("set2", "leo600"): _Satellite(-4.0, 5.0, 30.5, 0.2),
}


def _noise_k(noise_figure_db: float, antenna_k: float = _REFERENCE_K) -> float:
    """System noise temperature in K (TR 38.821 section 6.1.3.1)."""
    return antenna_k + _REFERENCE_K * (math.pow(10.0, noise_figure_db / 10.0) - 1.0)


def _g_over_t(gain_dbi: float, noise_k: float) -> float:
    return gain_dbi - 10.0 * math.log10(noise_k)


def _aperture(satellite: _Satellite) -> Antenna:
    return Antenna("aperture", satellite.pointing, satellite.diameter_m, satellite.gain_dbi)


def _handheld(name: str, satellite: _Satellite) -> RadioSpec:
    """Power class 3: 23 dBm, 0 dBi, noise figure 7 dB; 30 MHz down, 360 kHz up."""
    noise = _noise_k(7.0)
    return RadioSpec(
        name,
        modcods="nr",
        up_frequency_ghz=2.0,
        down_frequency_ghz=2.0,
        up_bandwidth_mhz=0.36,
        down_bandwidth_mhz=30.0,
        up_eirp_dbw=23.0 - 30.0,
        down_eirp_dbw=satellite.density_dbw_mhz + 10.0 * math.log10(30.0),
        up_g_over_t_db_k=satellite.g_over_t_db_k,
        down_g_over_t_db_k=_g_over_t(0.0, noise),
        implementation_loss_db=0.0,
        far_antenna=_aperture(satellite),
        down_system_noise_k=noise,
    )


def _vsat(name: str, satellite: _Satellite) -> RadioSpec:
    """Dish of 60 cm, 33 dBm into 43.2 dBi, 39.7 dBi, noise figure 1.2 dB, antenna 150 K; 400 MHz each way."""
    noise = _noise_k(1.2, 150.0)
    return RadioSpec(
        name,
        modcods="nr",
        up_frequency_ghz=30.0,
        down_frequency_ghz=20.0,
        up_bandwidth_mhz=400.0,
        down_bandwidth_mhz=400.0,
        up_eirp_dbw=33.0 - 30.0 + 43.2,
        down_eirp_dbw=satellite.density_dbw_mhz + 10.0 * math.log10(400.0),
        up_g_over_t_db_k=satellite.g_over_t_db_k,
        down_g_over_t_db_k=_g_over_t(39.7, noise),
        implementation_loss_db=0.0,
        place_antenna=Antenna("dish-s465", "tracking", 0.6, 39.7),
        far_antenna=_aperture(satellite),
        down_system_noise_k=noise,
    )


def _nb_iot(name: str, satellite: _Satellite) -> RadioSpec:
    """Power class 3, noise figure 7 dB, 180 kHz down, one tone of 15 kHz up (TR 36.763 section 6.2.1).

    The 3 dB are a linear antenna against circular polarisation, which that section counts both ways.
    """
    noise = _noise_k(7.0)
    return RadioSpec(
        name,
        modcods="nb-iot",
        up_frequency_ghz=2.0,
        down_frequency_ghz=2.0,
        up_bandwidth_mhz=0.015,
        down_bandwidth_mhz=0.18,
        up_eirp_dbw=23.0 - 30.0,
        down_eirp_dbw=satellite.density_dbw_mhz + 10.0 * math.log10(0.18),
        up_g_over_t_db_k=satellite.g_over_t_db_k,
        down_g_over_t_db_k=_g_over_t(0.0, noise),
        implementation_loss_db=3.0,
        far_antenna=_aperture(satellite),
        down_system_noise_k=noise,
    )


#: of the simple satellite antennas here, and of the receivers: the figure in Semtech's sensitivity formula
#: (AN1200.22: -174 + 10 log BW + NF + SNR with 6 dB)
_TURNSTILE_DBI: Final = 1.76
_LORA_NOISE_DB: Final = 6.0


def _lora_cubesat(name: str) -> RadioSpec:
    """22 dBm (an SX1262's most) into turnstiles at both ends, 125 kHz in the amateur satellite band."""
    noise = _noise_k(_LORA_NOISE_DB)
    eirp, merit = 22.0 - 30.0 + _TURNSTILE_DBI, _g_over_t(_TURNSTILE_DBI, noise)
    return RadioSpec(
        name,
        modcods="lora",
        up_frequency_ghz=0.437,
        down_frequency_ghz=0.437,
        up_bandwidth_mhz=0.125,
        down_bandwidth_mhz=0.125,
        up_eirp_dbw=eirp,
        down_eirp_dbw=eirp,
        up_g_over_t_db_k=merit,
        down_g_over_t_db_k=merit,
        implementation_loss_db=0.0,
        weather=False,
        place_antenna=Antenna("turnstile", "zenith", gain_dbi=_TURNSTILE_DBI),
        far_antenna=Antenna("turnstile", "nadir", gain_dbi=_TURNSTILE_DBI),
        down_system_noise_k=noise,
    )


#: one hop of LR-FHSS is as wide in Hz as its symbol rate (LoRaWAN regional parameters RP002, EU DR8 to DR11)
_HOP_MHZ: Final = LR_FHSS_SYMBOL_RATE_HZ * 1e-6


def _lr_fhss(name: str) -> RadioSpec:
    """Whip with the 25 mW that Europe permits (14 dBm on a dipole), turnstile at the far end.

    The technique goes up only; the way down has the same figures, for acknowledgements.
    """
    noise = _noise_k(_LORA_NOISE_DB)
    return RadioSpec(
        name,
        modcods="lr-fhss",
        up_frequency_ghz=0.868,
        down_frequency_ghz=0.868,
        up_bandwidth_mhz=_HOP_MHZ,
        down_bandwidth_mhz=_HOP_MHZ,
        up_eirp_dbw=14.0 - 30.0 + 2.15,
        down_eirp_dbw=14.0 - 30.0 + 2.15,
        up_g_over_t_db_k=_g_over_t(_TURNSTILE_DBI, noise),
        down_g_over_t_db_k=_g_over_t(2.15, noise),
        implementation_loss_db=0.0,
        weather=False,
        place_antenna=Antenna("dipole", "zenith"),
        far_antenna=Antenna("turnstile", "nadir", gain_dbi=_TURNSTILE_DBI),
        down_system_noise_k=noise,
    )


def _all() -> dict[str, RadioSpec]:
    sets: dict[str, RadioSpec] = {}
    for (number, orbit), satellite in _S_BAND.items():
        if number in ("set1", "set2"):
            name = f"tr38821-{number}-{orbit}-s-handheld"
            sets[name] = _handheld(name, satellite)
    for (number, orbit), satellite in _KA_BAND.items():
        name = f"tr38821-{number}-{orbit}-ka-vsat"
        sets[name] = _vsat(name, satellite)
    for (number, orbit), satellite in _S_BAND.items():
        name = f"tr36763-{number}-{orbit}-nb-iot"
        sets[name] = _nb_iot(name, satellite)
    sets["lora-cubesat-437"] = _lora_cubesat("lora-cubesat-437")
    sets["lr-fhss-868"] = _lr_fhss("lr-fhss-868")
    return sets


_SETS: Final = _all()
#: the names that `radio_preset` takes
PRESETS: Final = tuple(_SETS)


def radio_preset(name: str) -> RadioSpec:
    """The radio of that name; raises WorldError naming the known ones."""
    if name not in _SETS:
        raise WorldError(f"radio preset is {name!r}, allowed: {', '.join(PRESETS)}")
    return _SETS[name]
