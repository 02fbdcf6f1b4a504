"""Places on the ellipsoid: coordinates there and back, and published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.geometry import ecef_from_geodetic, geodetic_from_ecef

one_millimetre_m = 1e-3


@pytest.mark.parametrize("altitude_m", [-400.0, 0.0, 20e3, 550e3, 35_786e3])
def test_geodetic_coordinates_survive_the_way_there_and_back(altitude_m: float) -> None:
    latitude, longitude = np.meshgrid(np.linspace(-90.0, 90.0, 37), np.linspace(-175.0, 180.0, 13))
    position = ecef_from_geodetic(latitude, longitude, altitude_m)
    back = geodetic_from_ecef(position)
    assert np.abs(back[0] - latitude).max() < 1e-9
    assert np.abs(back[2] - altitude_m).max() < one_millimetre_m
    assert np.abs(ecef_from_geodetic(*back) - position).max() < one_millimetre_m


def test_the_ellipsoid_has_its_published_axes() -> None:
    assert ecef_from_geodetic(0.0, 90.0, 0.0) == pytest.approx([0.0, 6_378_137.0, 0.0], abs=1e-6)
    assert ecef_from_geodetic(90.0, 0.0, 0.0) == pytest.approx([0.0, 0.0, 6_356_752.3142], abs=1e-4)
