"""Sine and cosine of the vectorised kernels: against those of the platform."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.orbits.trigonometry import sin_cos, within_a_turn

TURN = 2.0 * math.pi

few_last_places = 4e-16
#: doubles near half a turn are 4.4e-16 apart, so that an angle there is not known better
a_place_of_half_a_turn = 5e-16
a_million_turns = 1e6 * TURN


@given(st.floats(-a_million_turns, a_million_turns))
def test_sine_and_cosine_are_good_to_the_last_places(angle: float) -> None:
    sine, cosine = sin_cos(angle)
    assert abs(sine - math.sin(angle)) <= few_last_places
    assert abs(cosine - math.cos(angle)) <= few_last_places


@pytest.mark.parametrize("eighth", range(-9, 10))
def test_they_hold_on_both_sides_of_every_change_of_quadrant(eighth: int) -> None:
    for nudge in (-1e-9, 0.0, 1e-9):
        angle = eighth * TURN / 8.0 + nudge
        assert sin_cos(angle) == pytest.approx((math.sin(angle), math.cos(angle)), abs=few_last_places)


@given(st.floats(-a_million_turns, a_million_turns))
def test_an_angle_is_brought_within_half_a_turn(angle: float) -> None:
    found = within_a_turn(angle)
    assert abs(found) <= TURN / 2.0 + 1e-9
    assert abs(math.sin(found) - math.sin(angle)) <= a_place_of_half_a_turn
    assert abs(math.cos(found) - math.cos(angle)) <= a_place_of_half_a_turn


def test_an_angle_near_half_a_turn_is_as_good_as_its_doubles() -> None:
    assert abs(math.sin(within_a_turn(866_737.0)) - math.sin(866_737.0)) <= a_place_of_half_a_turn
