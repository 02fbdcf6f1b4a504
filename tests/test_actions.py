"""The text form of actions: what is read, written, and refused in one sentence."""

from __future__ import annotations

import msgspec
import pytest

from testbed import actions
from testbed.errors import BadInput

TEXTS = (
    "route:avoid=gateway-site",
    "route:avoid=a>b,penalty_ms=50",
    "handover:bar=sat-2",
    "handover:bar=sat-2,terminal=field-1",
    "offload:sensor=edge-ground:3+edge-sat:1",
    "priority:remote-1=2",
    "pace:sensor=reading_interval_s:1",
    "pace:sensor=reading_interval_s:1+task_interval_s:8",
)


@pytest.mark.parametrize("text", TEXTS)
def test_an_action_is_read_and_written(text: str) -> None:
    assert actions.text_of(actions.parse(text)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_an_action_crosses_the_wire(text: str) -> None:
    action = actions.parse(text)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(action), type=actions.AnyAction) == action


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "allowed are route:"),
        ("fly:away", "allowed are route:"),
        ("route:gateway-site", "allowed is route:avoid="),
        ("route:avoid=a,penalty_ms=0", "penalty_ms is 0, allowed: 0.001 to 1e+06"),
        ("route:avoid=a,avoid=b", "allowed is route:avoid="),
        ("handover:terminal=field-1", "allowed is handover:bar="),
        ("offload:sensor=edge-ground", "allowed is offload:NODE="),
        ("offload:sensor=edge-ground:-1", "a share is -1, allowed: 0 to 1000"),
        ("offload:sensor=edge-ground:0", "one share at least is above 0"),
        ("offload:sensor=edge-ground:1+edge-ground:2", "allowed is offload:NODE="),
        ("priority:remote-1=4", "the traffic class is 4, allowed: 0 to 3"),
        ("priority:remote-1=high", "allowed is priority:NODE=CLASS"),
        ("pace:sensor=reading_interval_s:nan", "reading_interval_s is nan, allowed: 0.001 to 86400"),
        ("pace:sensor=1", "allowed is pace:NODE="),
    ],
)
def test_what_is_no_action_is_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        actions.parse(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
