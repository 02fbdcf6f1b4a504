"""Settings of the twin that cannot be are refused before anything runs."""

from __future__ import annotations

import pytest

from testbed.errors import BadInput
from testbed.scenario import load


@pytest.mark.parametrize("name", ["none", "Route", "module:", ":Class"])
def test_a_policy_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(BadInput, match="handover, route, offload, priority, duty or module:Class"):
        load("laptop", [f'twin.policies=["{name}"]'])


def test_shipped_policies_and_classes_of_ones_own_are_taken() -> None:
    assert load("laptop", ['twin.policies=["duty", "mine.policies:Thrift"]']).twin.policies == [
        "duty",
        "mine.policies:Thrift",
    ]
