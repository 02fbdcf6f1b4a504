"""Link models as plain tables and back, and out of a decoded world."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from emulator.links.model import (
    CoDel,
    DutyCycle,
    Faults,
    Gamma,
    GilbertElliott,
    LinkModel,
    Series,
    Traces,
)
from emulator.links.tables import model_of, table_of
from emulator.spec import ConstellationSpec, WorldSpec

FULL = LinkModel(
    "full", CoDel(7.0, 70.0), DutyCycle(0.01), GilbertElliott(0.1, 0.5), Gamma(shape=2.0), Faults(0.1, 0.2),
    keep_order=False, reroute=True, overhead_bytes=13, overhead_ms=1.5, mtu_bytes=222,
)  # fmt: skip


@pytest.mark.parametrize("model", [LinkModel("bare"), FULL])
def test_a_model_survives_json(model: LinkModel) -> None:
    assert model_of(json.loads(json.dumps(table_of(model)))) == model


def test_traces_survive_json() -> None:
    series = Series(np.array([0, 5, 9]), np.array([1.5, 2.5, 0.0]), "linear", 12)
    model = LinkModel("mine", traces=Traces(rate=series))
    found = model_of(json.loads(json.dumps(table_of(model)))).traces
    assert found.rate is not None
    assert found.delay is None
    assert found.rate.times_ns.tolist() == [0, 5, 9]
    assert found.rate.values.tolist() == [1.5, 2.5, 0.0]
    assert (found.rate.kind, found.rate.period_ns) == ("linear", 12)


def test_what_a_table_leaves_out_is_plain() -> None:
    assert model_of({"name": "short", "queue": {"kind": "codel"}}) == LinkModel("short", queue=CoDel())


def test_a_world_out_of_a_document_has_models() -> None:
    world = WorldSpec("2025-10-01T12:00:00Z", 60.0, 0.1, (), ConstellationSpec(), models=(FULL,))
    document = {
        **msgspec.to_builtins(WorldSpec("", 60.0, 0.1, (), ConstellationSpec())),
        "models": [table_of(FULL)],
    }
    document["start_utc"] = world.start_utc
    assert msgspec.convert(document, WorldSpec) == world
