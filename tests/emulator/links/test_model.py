"""Models: what users state becomes the row that kernels read, under the names of the scenario file."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.links import access, codel, jitter, loss
from emulator.links.model import (
    ACCESSES,
    JITTERS,
    LOSSES,
    QUEUES,
    CoDel,
    DutyCycle,
    Faults,
    Frames,
    Gamma,
    GilbertElliott,
    LinkModel,
    ModelSet,
    PureAloha,
    Series,
    SlottedAloha,
    Traces,
)
from emulator.links.state import DELIVERIES, LINEAR, TRACE_COUNT, TRACE_FIRST, TRACE_KIND, TRACE_PERIOD
from tests.emulator.links.single import MS

FULL = LinkModel(
    "iot",
    queue=CoDel(target_ms=7.0, interval_ms=70.0),
    access=SlottedAloha(slot_ms=2.0, window_slots=16, attempts=4, offset_ms=0.5),
    loss=GilbertElliott(0.01, 0.2, loss=0.9),
    jitter=Gamma(3.0, correlation_ms=20.0),
    faults=Faults(duplicate=0.1, corrupt=0.2),
    keep_order=False,
    reroute=True,
    overhead_bytes=13,
    overhead_ms=0.25,
    mtu_bytes=242,
)


def test_settings_are_known_by_the_names_of_the_scenario_file() -> None:
    assert list(QUEUES) == ["drop-tail", "codel"]
    assert list(ACCESSES) == ["none", "frames", "slotted-aloha", "pure-aloha", "duty-cycle"]
    assert list(LOSSES) == ["independent", "gilbert-elliott"]
    assert list(JITTERS) == ["exponential", "uniform", "normal", "gamma", "lognormal", "pareto"]


def test_a_row_says_what_was_stated_in_the_units_of_kernels() -> None:
    row = ModelSet((FULL,)).rows[1]
    stated = {
        "queue_kind": codel.CODEL, "codel_target_ns": 7 * MS, "codel_interval_ns": 70 * MS,
        "access_kind": access.SLOTTED_ALOHA, "access_period_ns": 2 * MS, "access_offset_ns": MS // 2,
        "access_window": 16, "access_attempts": 4,
        "loss_kind": loss.GILBERT_ELLIOTT, "bad_enter": 0.01, "bad_leave": 0.2, "bad_loss": 0.9,
        "jitter_kind": jitter.GAMMA, "jitter_shape": 3.0, "jitter_correlation_ns": 20.0 * MS,
        "duplicate": 0.1, "corrupt": 0.2, "keep_order": 0, "reroute": 1,
        "overhead_bytes": 13, "overhead_ns": MS // 4, "mtu_bytes": 242,
        "rate_trace": -1, "delay_trace": -1, "loss_trace": -1,
    }  # fmt: skip
    assert {name: row[name].item() for name in stated} == stated


@pytest.mark.parametrize(
    ("settings", "stated"),
    [
        (
            Frames(20.0, grant_ms=5.0, frame_kbytes=1.5, offset_ms=1.0),
            {"access_kind": access.FRAMES, "access_grant_ns": 5 * MS, "access_frame_bytes": 1500},
        ),
        (PureAloha(30.0, attempts=2), {"access_kind": access.PURE_ALOHA, "access_period_ns": 30 * MS}),
        (DutyCycle(0.01), {"access_kind": access.DUTY_CYCLE, "access_duty": 0.01, "access_attempts": 1}),
    ],
)
def test_each_access_has_its_row(settings: Any, stated: dict[str, Any]) -> None:
    row = ModelSet((LinkModel("one", access=settings),)).rows[1]
    assert {name: row[name].item() for name in stated} == stated


def test_the_first_model_is_the_plain_one() -> None:
    models = ModelSet((FULL,))
    row = models.rows[models.index("plain")]
    kinds = ("queue_kind", "access_kind", "loss_kind", "jitter_kind", "reroute", "mtu_bytes")
    assert models.index("plain") == 0
    assert [row[kind] for kind in kinds] == [0, 0, 0, 0, 0, 0]
    assert (row["keep_order"], row["rate_trace"]) == (1, -1)
    assert LinkModel("plain") == replace(LinkModel("other"), name="plain")


def test_a_network_without_traces_has_arrays_that_are_not_empty() -> None:
    models = ModelSet()
    assert (models.table.shape, models.times_ns.shape, models.values.shape) == ((1, 4), (1,), (1,))


def test_traces_of_all_models_stand_one_after_the_other() -> None:
    first = LinkModel(
        "first",
        traces=Traces(rate=Series([0, 5], [1.0, 2.0]), loss=Series([0, 1, 2], [0.1, 0.2, 0.3], "linear", 9)),
    )
    second = LinkModel("second", traces=Traces(deliveries=Series([3, 4], [1504.0] * 2, "deliveries")))
    models = ModelSet((first, LinkModel("none"), second))
    rate, lost = models.rows[1]["rate_trace"], models.rows[1]["loss_trace"]
    delivered = models.rows[3]["rate_trace"]
    assert models.rows[1]["delay_trace"] == models.rows[2]["rate_trace"] == -1
    assert [models.table[at][TRACE_FIRST] for at in (rate, lost, delivered)] == [0, 2, 5]
    assert [models.table[at][TRACE_COUNT] for at in (rate, lost, delivered)] == [2, 3, 2]
    assert [models.table[at][TRACE_PERIOD] for at in (rate, lost, delivered)] == [0, 9, 4]
    assert models.table[lost][TRACE_KIND] == LINEAR
    assert models.table[delivered][TRACE_KIND] == DELIVERIES
    assert models.times_ns.tolist() == [0, 5, 0, 1, 2, 3, 4]
    assert models.values.tolist() == [1.0, 2.0, 0.1, 0.2, 0.3, 1504.0, 1504.0]
    assert (models.times_ns.dtype, models.values.dtype) == (np.int64, np.float64)


def test_a_model_can_be_added_while_rows_are_spare() -> None:
    models = ModelSet((FULL,), spare=1)
    assert models.spare == range(2, 3)
    assert models.add(LinkModel("late", queue=CoDel())) == models.index("late") == 2
    assert models.rows[2]["queue_kind"] == codel.CODEL
    with pytest.raises(WorldError, match="link model 'later': there are 3 models, allowed: 3"):
        models.add(LinkModel("later"))


def test_a_model_that_is_added_brings_no_traces() -> None:
    with pytest.raises(WorldError, match="link model 'late': traces are given, allowed: none once"):
        ModelSet().add(LinkModel("late", traces=Traces(delay=Series([0], [1.0]))))


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(WorldError, match="link model is 'lora', allowed: plain, iot"):
        ModelSet((FULL,)).index("lora")


@pytest.mark.parametrize("name", ["iot", "plain"])
def test_a_name_is_given_once(name: str) -> None:
    with pytest.raises(WorldError, match=f"link model '{name}': the name is taken, allowed: any other"):
        ModelSet((FULL, replace(FULL, name=name)))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (replace(FULL, queue=CoDel(target_ms=-1.0)), "queue.target_ms is -1, allowed: 1e-06 to 1e+09 ms"),
        (replace(FULL, access=DutyCycle(2.0)), "access.share is 2, allowed: 1e-06 to 1"),
        (replace(FULL, loss=GilbertElliott(2.0, 1.0)), "loss.enter is 2, allowed: 0 to 1"),
        (replace(FULL, jitter=Gamma(-1.0)), "jitter.shape is -1, allowed: 0.05 to 1000"),
        (replace(FULL, faults=Faults(corrupt=-1.0)), "faults.corrupt is -1, allowed: 0 to 1"),
        (replace(FULL, traces=Traces(rate=Series([0], [-1.0]))), "traces.rate.values[0] is -1"),
        (replace(FULL, overhead_bytes=-1), "overhead_bytes is -1, allowed: 0 to 65535"),
        (replace(FULL, mtu_bytes=70_000), "mtu_bytes is 70000, allowed: 0 to 65535"),
        (replace(FULL, overhead_ms=math.inf), "overhead_ms is inf, allowed: 0 to 1e+09 ms"),
    ],
)
def test_what_no_link_can_have_gets_a_sentence_with_the_models_name(model: LinkModel, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        ModelSet((model,))
    assert str(error.value).startswith(f"link model 'iot': {sentence}")


# --- compiled and not -------------------------------------------------------------------------------


def test_compiled_and_uncompiled_kernels_say_the_same() -> None:
    said = []
    for disabled in ("0", "1"):
        result = subprocess.run(
            [sys.executable, "-m", "tests.emulator.links.every_kernel"],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        said.append(json.loads(result.stdout))
    assert said[0] == said[1]
