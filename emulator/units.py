"""Constants of nature and of the reference ellipsoid, SI unless the name says otherwise.

No unit conversion library: names carry units, and this file holds the numbers they rest on.
"""

from __future__ import annotations

#: exact, SI
SPEED_OF_LIGHT_M_S = 299_792_458.0
#: 10 log10 of the Boltzmann constant 1.380649e-23 J/K (exact, SI)
BOLTZMANN_DBW_K_HZ = -228.59916717321767
#: WGS-84 (NIMA TR8350.2): semi-major axis and flattening
WGS84_A_M = 6_378_137.0
WGS84_F = 1.0 / 298.257223563
WGS84_E2 = WGS84_F * (2.0 - WGS84_F)
#: mean Earth rotation rate, rad/s (IAU-82 sidereal time)
EARTH_ROTATION_RAD_S = 7.292115146706979e-5
#: where the Earth may be a sphere: mean radius (IUGG, rounded)
MEAN_EARTH_RADIUS_M = 6_371_000.0
SECONDS_PER_DAY = 86_400.0
#: radio ends closer than this are taken to be this far apart
LEAST_RANGE_M = 1.0
#: hops are weighed for routing with one packet of this size
ROUTING_PACKET_BITS = 12_000.0
#: no place is lower: the shore of the Dead Sea lies at -430 m
LOWEST_ALTITUDE_M = -500.0
#: satellites whose height is below the first are in low orbits (LEO), from the second on geostationary (GEO)
LAYER_BOUNDS_KM = (2_000.0, 35_000.0)
#: what the Earth attracts with: WGS-84 (NIMA TR8350.2), and the WGS-72 of SGP4 in km
EARTH_MU_M3_S2 = 3.986004418e14
SGP4_MU_KM3_S2 = 398600.8
#: Julian day of the midnight before day 1 of the proleptic calendar, whose days `datetime` counts
ORDINAL_ZERO_JULIAN_DAY = 1_721_424.5
#: instants of run time are compared with this tolerance: callers step in decimal fractions
TICK_S = 1e-6
