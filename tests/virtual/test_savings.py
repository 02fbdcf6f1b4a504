"""Edges that tell a centre little, beside the virtual plant: what it saves, and that the bound is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testbed.errors import BadInput
from testbed.scenario import Scenario
from testbed.virtual.savings import suppression

#: error of the centre over that of a twin with all telemetry
MOST_ERROR = 1.2
#: messages to the centre over telemetry records
MOST_MESSAGES = 0.10
#: of the arithmetic of a difference
ROUNDING = 1e-9


def test_the_centre_errs_hardly_more_with_far_fewer_messages(make: Callable[..., Scenario]) -> None:
    rain = {"kind": "rain", "target": "gateway-site", "attenuation_db": 6.0}
    figures = suppression(make(rain, duration_s=20.0), settled_s=5.0)
    assert figures["bound_kept"] <= 1.0 + ROUNDING
    assert figures["message_share"] <= MOST_MESSAGES
    assert figures["error_ratio"] <= MOST_ERROR
    assert figures["prediction_error_ratio"] <= MOST_ERROR


def test_a_network_cannot_be_divided_into_more_edges_than_it_has_places(
    make: Callable[..., Scenario],
) -> None:
    with pytest.raises(BadInput, match="edges: 99 were asked for"):
        suppression(make(), 99)
