"""A twin that acts in a live run: what users feel of the rain with it, beside the same run without."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from tests.integration import harness

#: share of the latency lost to the rain that acting brings back, at least
RECOVERED: Final = 0.9
DURATION_S: Final = 40.0
#: run time of the rain, and when an action has had time to show, s
_RAIN_S: Final = (14.0, 26.0)
_SHOWN_FROM_S: Final = 20.0
_LIVE: Final = ("laptop", "--duration", f"{DURATION_S:g}")


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    return harness.run_in_time(tmp_path_factory.mktemp("acting"), *_LIVE)


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    out: Path = tmp_path_factory.mktemp("watching")
    return harness.run_in_time(out, *_LIVE, "--set", "twin.act=off")


def _latency_ms(run: harness.Finished, from_s: float, to_s: float) -> float:
    """Latency of readings that arrived between two run times: median of the means of its seconds.

    A machine that is held up for a moment makes one or two of the seconds longer; rain all of them.
    """
    t0_ns = int(run.run.run_info()["t0_ns"])
    total, packets = defaultdict[int, float](float), defaultdict[int, int](int)
    for record in run.records("flow"):
        t_s = (record.t_ns - t0_ns) / 1e9
        if record.tags["flow"] == "data" and from_s < t_s <= to_s:
            count = int(record.fields["packets"])
            total[int(t_s)] += count * float(record.fields.get("delay_mean_ms", 0.0))
            packets[int(t_s)] += count
    return median(total[second] / packets[second] for second in packets if packets[second])


def test_acting_brings_back_nine_tenths_of_the_latency_that_the_rain_takes(
    acting: harness.Finished, watching: harness.Finished
) -> None:
    before = _latency_ms(watching, 5.0, _RAIN_S[0])
    without = _latency_ms(watching, _SHOWN_FROM_S, _RAIN_S[1])
    with_it = _latency_ms(acting, _SHOWN_FROM_S, _RAIN_S[1])
    assert without > 3.0 * before
    assert (without - with_it) / (without - before) >= RECOVERED


def test_the_report_shows_the_prediction_beside_the_outcome(acting: harness.Finished) -> None:
    first = next(one for one in acting.report["twin"]["actions"] if one["outcome"] != "rejected")
    assert first["action"] == "route:avoid=gateway-site"
    assert first["cause"] == "attenuation at gateway-site"
    assert [step["step"] for step in first["steps"]] == [
        "proposed", "validated", "ordered", "applied", "verified",
    ]  # fmt: skip
    assert first["predicted"][0] < first["predicted"][1] < first["predicted"][2]
    assert first["observed"][1] > 0.0
    assert first["recovered_share"][1] >= RECOVERED


def test_who_does_not_act_is_asked_for_nothing(watching: harness.Finished) -> None:
    assert watching.report["twin"]["actions"] == []
    assert not [r for r in watching.records("event") if "twin orders" in str(r.fields.get("text"))]
