"""Rain on a path: ITU-R P.838-3 specific attenuation over the effective path of ITU-R P.618-13 or P.530-17.

P.618 gives the path reduction for the rain rate exceeded 0.01 % of the time. Using it for a rain rate
at one moment is a modelling choice: it stands for a shower whose extent follows its rate.
"""

from __future__ import annotations

import math

#: effective Earth radius of P.618, km
_EARTH_KM = 8500.0
#: P.838 begins here; what is below counts as here
_LEAST_GHZ = 1.0
#: and ends here
MOST_GHZ = 1000.0
#: of the distance factor of P.530, whatever its formula gives on paths too short or too long for it
_MOST_FACTOR = 2.5

# ITU-R P.838-3 tables 1 to 4: (a, b, c) of each term, then slope and offset, in log10 of GHz
_K_H = (
    ((-5.33980, -0.10008, 1.13098), (-0.35351, 1.26970, 0.45400), (-0.23789, 0.86036, 0.15354),
     (-0.94158, 0.64552, 0.16817)), -0.18961, 0.71147,
)  # fmt: skip
_K_V = (
    ((-3.80595, 0.56934, 0.81061), (-3.44965, -0.22911, 0.51059), (-0.39902, 0.73042, 0.11899),
     (0.50167, 1.07319, 0.27195)), -0.16398, 0.63297,
)  # fmt: skip
_ALPHA_H = (
    ((-0.14318, 1.82442, -0.55187), (0.29591, 0.77564, 0.19822), (0.32177, 0.63773, 0.13164),
     (-5.37610, -0.96230, 1.47828), (16.1721, -3.29980, 3.43990)), 0.67849, -1.95537,
)  # fmt: skip
_ALPHA_V = (
    ((-0.07771, 2.33840, -0.76284), (0.56727, 0.95545, 0.54039), (-0.20238, 1.14520, 0.26809),
     (-48.2991, 0.791669, 0.116226), (48.5833, 0.791459, 0.116479)), -0.053739, 0.83433,
)  # fmt: skip

_Fit = tuple[tuple[tuple[float, float, float], ...], float, float]


def specific_attenuation_db_km(
    rain_rate_mm_h: float, frequency_ghz: float, elevation_deg: float = 0.0, polarization_deg: float = 45.0
) -> float:
    """Attenuation per km of rain, ITU-R P.838-3 (1 to 1000 GHz, below 1 as at 1).

    `polarization_deg`: tilt from horizontal; 45 is circular.
    """
    if rain_rate_mm_h <= 0.0:
        return 0.0
    k, alpha = _coefficients(frequency_ghz, elevation_deg, polarization_deg)
    return float(k * rain_rate_mm_h**alpha)


def _coefficients(frequency_ghz: float, elevation_deg: float, polarization_deg: float) -> tuple[float, float]:
    """k and alpha of P.838-3."""
    log_f = math.log10(max(frequency_ghz, _LEAST_GHZ))
    k_h, k_v = 10.0 ** _fit(_K_H, log_f), 10.0 ** _fit(_K_V, log_f)
    a_h, a_v = _fit(_ALPHA_H, log_f), _fit(_ALPHA_V, log_f)
    tilt = math.cos(math.radians(elevation_deg)) ** 2 * math.cos(math.radians(2.0 * polarization_deg))
    k = (k_h + k_v + (k_h - k_v) * tilt) / 2.0
    alpha = (k_h * a_h + k_v * a_v + (k_h * a_h - k_v * a_v) * tilt) / (2.0 * k)
    return k, alpha


def _fit(table: _Fit, log_f: float) -> float:
    terms, slope, offset = table
    return sum(a * math.exp(-(((log_f - b) / c) ** 2)) for a, b, c in terms) + slope * log_f + offset


def slant_path_km(height_km: float, elevation_deg: float) -> float:
    """Length of the path below the rain height, `height_km` above the station (P.618-13 eq. 1, 2)."""
    if height_km <= 0.0:
        return 0.0
    sine = math.sin(math.radians(max(elevation_deg, 0.0)))
    if elevation_deg >= 5.0:
        return height_km / sine
    return 2.0 * height_km / (math.sqrt(sine * sine + 2.0 * height_km / _EARTH_KM) + sine)


def slant_attenuation_db(
    rain_rate_mm_h: float,
    frequency_ghz: float,
    elevation_deg: float,
    latitude_deg: float,
    rain_height_km: float,
    station_km: float,
    polarization_deg: float = 45.0,
) -> float:
    """Rain attenuation in dB on an Earth-space path, ITU-R P.618-13 section 2.2.1.1 steps 2 to 9.

    `rain_height_km` (ITU-R P.839) and `station_km` above sea level. 0 above the rain; below 1 GHz as at 1.
    """
    frequency_ghz = max(frequency_ghz, _LEAST_GHZ)
    height_km = rain_height_km - station_km
    slant_km = slant_path_km(height_km, elevation_deg)
    per_km = specific_attenuation_db_km(rain_rate_mm_h, frequency_ghz, elevation_deg, polarization_deg)
    if slant_km <= 0.0 or per_km <= 0.0:
        return 0.0
    elevation = math.radians(max(elevation_deg, 0.0))
    ground_km = slant_km * math.cos(elevation)
    horizontal = 1.0 / (
        1.0 + 0.78 * math.sqrt(ground_km * per_km / frequency_ghz) - 0.38 * (1.0 - math.exp(-2.0 * ground_km))
    )
    turning = math.atan2(height_km, ground_km * horizontal)
    if turning > elevation:
        rainy_km = ground_km * horizontal / math.cos(elevation)
    else:
        rainy_km = height_km / math.sin(elevation)
    latitude = abs(latitude_deg)
    chi_deg = 36.0 - latitude if latitude < 36.0 else 0.0
    vertical = 1.0 / (
        1.0
        + math.sqrt(math.sin(elevation))
        * (
            31.0
            * (1.0 - math.exp(-(max(elevation_deg, 0.0) / (1.0 + chi_deg))))
            * math.sqrt(rainy_km * per_km)
            / frequency_ghz**2
            - 0.45
        )
    )
    return per_km * rainy_km * vertical


def exceeded_attenuation_db(
    attenuation_001_db: float, percent: float, elevation_deg: float, latitude_deg: float
) -> float:
    """Rain attenuation in dB exceeded for a percentage of an average year.

    ITU-R P.618-13 section 2.2.1.1 step 10. `attenuation_001_db` is that exceeded for 0.01 % (steps 2 to
    9). Stated for 0.001 to 5 %.
    """
    if attenuation_001_db <= 0.0:
        return 0.0
    sine = math.sin(math.radians(elevation_deg))
    latitude = abs(latitude_deg)
    beta = 0.0
    if percent < 1.0 and latitude < 36.0:
        beta = -0.005 * (latitude - 36.0)
        if elevation_deg < 25.0:
            beta += 1.8 - 4.25 * sine
    exponent = (
        0.655
        + 0.033 * math.log(percent)
        - 0.045 * math.log(attenuation_001_db)
        - beta * (1.0 - percent) * sine
    )
    return float(attenuation_001_db * (percent / 0.01) ** -exponent)


def terrestrial_attenuation_db(
    rain_rate_001_mm_h: float,
    frequency_ghz: float,
    length_km: float,
    percent: float = 0.01,
    polarization_deg: float = 45.0,
) -> float:
    """Rain attenuation in dB of a terrestrial path, exceeded for a percentage of an average year.

    `rain_rate_001_mm_h` is the rate exceeded for 0.01 % (ITU-R P.837). ITU-R P.530-17 section 2.4.1, stated
    for 0.001 to 1 %, up to 60 km and 1 to 100 GHz (below 1 as at 1).
    """
    frequency_ghz = max(frequency_ghz, _LEAST_GHZ)
    k, alpha = _coefficients(frequency_ghz, 0.0, polarization_deg)
    if rain_rate_001_mm_h <= 0.0 or length_km <= 0.0:
        return 0.0
    divisor = 0.477 * length_km**0.633 * rain_rate_001_mm_h ** (0.073 * alpha) * frequency_ghz**0.123
    divisor -= 10.579 * (1.0 - math.exp(-0.024 * length_km))
    # weak rain on long paths turns the divisor negative
    factor = 1.0 / max(divisor, 1.0 / _MOST_FACTOR)
    worst_db = k * rain_rate_001_mm_h**alpha * length_km * factor
    c0 = 0.12 + 0.4 * math.log10(frequency_ghz / 10.0) ** 0.8 if frequency_ghz >= 10.0 else 0.12
    c1 = 0.07**c0 * 0.12 ** (1.0 - c0)
    c2 = 0.855 * c0 + 0.546 * (1.0 - c0)
    c3 = 0.139 * c0 + 0.043 * (1.0 - c0)
    return float(worst_db * c1 * percent ** -(c2 + c3 * math.log10(percent)))
