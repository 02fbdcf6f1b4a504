"""Every query of the dashboards, answered by a real InfluxDB 1.x that holds one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dashboards.grafana.build import dashboards
from dashboards.grafana.queries import PanelQuery, expand, queries
from nodes.wire import Record, Value
from testbed.store import influx
from testbed.store.influx_settings import InfluxSettings
from testbed.store.local_influxd import LocalInfluxd, available
from testbed.store.runfile import RunFolder

SECONDS = 10
OFFSET_NS = 1_700_000_000_000_000_000
#: element files name satellites like this
LINK = "field-1>SAT-2 [DTC] (A/B) +"
QUERIES = [query for dashboard in dashboards().values() for query in queries(dashboard)]


def sample_run() -> Iterator[Record]:
    """A few seconds of every kind of record that the dashboards read, as a run writes them."""
    for half in range(2 * SECONDS):
        t_ns = half * 500_000_000
        for name, kind in ((LINK, "access"), ("sat-2>gateway", "feeder")):
            place, to = name.split(">")
            yield Record(t_ns + 500_000_000, "link", {"link": name, "from": place, "to": to, "kind": kind}, {
                "window_s": 0.5, "packets_in": 10, "bytes_in": 4000, "packets_out": 9, "bytes_out": 3600,
                "lost": 1, "dropped_queue": 0, "dropped_down": 0, "busy_s": 0.1, "snr_db": 9.5 + half % 2,
                "delay_mean_ms": 12.5, "queue_packets": 0,
            }, [12.0, 13.0])  # fmt: skip
            for quantity, mean in (
                ("delay_ms", 12.4),
                ("loss", 0.1),
                ("throughput_bps", 6e4),
                ("snr_db", 10.0),
            ):
                tags = {"target": name, "quantity": quantity}
                band = {"mean": mean, "sd": 1.0, "lo90": mean - 1.6, "hi90": mean + 1.6, "window_s": 0.5,
                        "baseline_constant": mean, "baseline_propagation": mean - 3}  # fmt: skip
                yield Record(t_ns, "prediction", tags, dict(band))
                seen = {"observed": mean + 0.1, "predicted": mean, "z": 0.1, "inside90": True}
                yield Record(t_ns, "residual", tags, dict(seen))
        tags = {"target": "edge-sat", "quantity": "service_rate_hz"}
        yield Record(t_ns, "prediction", tags, {"mean": 3e9, "sd": 1e8, "lo90": 2.8e9, "hi90": 3.2e9})
        yield Record(t_ns, "channel", {}, {
            "ingress": 100 * half, "delivered": 90 * half, "dropped": 8 * half, "in_flight": 2,
            "lateness_us_p50": 3.0, "lateness_us_p99": 20.5, "lateness_us_max": 80.0,
            "log_overflow": 0, "epoch_overruns": 0,
        })  # fmt: skip
    for second in range(SECONDS):
        t_ns = second * 1_000_000_000
        for node in ("sensor-1", "edge-sat"):
            fields = {"sent": 10 * second, "received": 5 * second, "cpu_s": 0.01 * second}
            yield Record(t_ns, "node", {"node": node, "role": "sensor"}, dict(fields))
        flow = {"packets": 10, "bytes": 1000, "lost": 0, "delay_mean_ms": 31.0, "age_s": 0.2}
        yield Record(t_ns, "flow", {"node": "gateway", "source": "sensor-1", "flow": "readings"}, dict(flow))
        task = {"cycles": 7.5e8, "service_s": 0.25, "queue_s": 0.0, "bytes": 50_000, "queue_length": 1}
        yield Record(t_ns, "task", {"node": "edge-sat", "client": "sensor-1"}, dict(task))
        offload = {"latency_s": 0.6, "cycles": 7.5e8, "bytes": 50_000, "ok": True, "retransmissions": 0}
        yield Record(t_ns, "offload", {"node": "sensor-1", "server": "edge-sat"}, dict(offload))
    yield Record(0, "event", {"what": "start", "node": "sensor-1"}, {"text": "registered"})
    found = {"kind": "attenuation", "target": "gateway", "where": "feeder"}
    size: dict[str, Value] = {
        "onset_s": 4.1,
        "detected_s": 5.0,
        "size": 8.0,
        "size_sd": 0.4,
        "unit": "dB",
        "statistic": 12.0,
    }
    yield Record(5_000_000_000, "detection", found, size)
    yield Record(8_000_000_000, "recovery", found, size)
    for second in (5, 6, 7):
        t_ns = second * 1_000_000_000
        yield Record(t_ns, "estimate", found, {"size": 8.0, "size_sd": 0.4, "low95": 7.2, "high95": 8.8})
        yield Record(t_ns, "sync", {"subject": "age", "of": "link"}, {"age_p50_s": 0.4, "age_p99_s": 0.8})
        for quantity in ("delay_ms", "snr_db"):
            tags = {"target": "all", "quantity": quantity, "over": "recent"}
            yield Record(t_ns, "fidelity", tags, {"mae": 0.3, "w1": 0.2, "crps_skill_climatology": 0.4})
        coming: dict[str, Value] = {"serving": "sat-2", "next": "sat-3", "next_s": 40.0, "handovers": 2}
        yield Record(t_ns, "outlook", {"target": "field-1"}, coming)
        tags = {"target": "field-1/up", "ahead_s": "60"}
        yield Record(t_ns, "outlook", tags, {"link": LINK, "snr_db": 9.0})
        step: dict[str, Value] = {
            "action": "handover:bar=sat-2", "cause": "attenuation at sat-2", "metric": "delay", "t_s": 20.5,
            "predicted_ms": 20.0, "observed_ms": 61.5, "recovered_share": 0.07, "holds": False,
            "why": "latency 61.5 ms instead of 64.6 ms: no gain",
        }  # fmt: skip
        yield Record(t_ns, "action", {"id": "1", "step": "verified", "policy": "handover"}, step)
    served = {"terminal": "field-1", "from": "sat-1", "to": "sat-2"}
    yield Record(6_000_000_000, "handover", served, {"t_s": 6.0, "utc": "2025-06-01T12:00:06.000+00:00"})
    what: dict[str, Value] = {"what": "start", "start_s": 4.0, "end_s": 7.0}
    yield Record(4_000_000_000, "plant_event", {"deviation": "rain", "target": "gateway"}, what)


class Filled(NamedTuple):
    """A database that holds the sample run, and a second one beside it."""

    settings: InfluxSettings
    run: str


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    if not available():
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    folder: Path = tmp_path_factory.mktemp("dashboards")
    (folder / "influxd").mkdir()
    server = LocalInfluxd(folder / "influxd")
    server.start()
    settings = InfluxSettings(server.url)
    try:
        for name in ("laptop", "other"):
            run = RunFolder.create(folder, name)
            run.write_run({"epoch_offset_ns": OFFSET_NS})
            with run.telemetry_writer() as writer:
                writer.extend(
                    sample_run() if name == "laptop" else [Record(0, "channel", {}, {"ingress": 7})]
                )
            assert influx.sync(run, settings).refused == 0
            if name == "laptop":
                wanted = run.id
        yield Filled(settings, wanted)
    finally:
        server.kill()


def ask(filled: Filled, text: str, link: str = LINK) -> list[list[object]]:
    query = expand(
        text, run=filled.run, link=link, start_ns=OFFSET_NS - 10**9, end_ns=OFFSET_NS + (SECONDS + 1) * 10**9
    )
    return [row for series in influx.query(filled.settings, query) for row in series["values"]]


@pytest.mark.parametrize("query", QUERIES, ids=[f"{q.place} {q.letter}".strip() for q in QUERIES])
def test_a_query_returns_rows_with_a_value_in_every_column(filled: Filled, query: PanelQuery) -> None:
    rows = ask(filled, query.text)
    assert rows
    for column in zip(*rows, strict=True):
        assert any(value is not None for value in column)


def text_of(place: str, letter: str = "A") -> str:
    (text,) = [q.text for q in QUERIES if (q.place, q.letter) == (place, letter)]
    return text


def test_another_run_in_the_same_database_is_not_mixed_in(filled: Filled) -> None:
    assert {row[1] for row in ask(filled, text_of("Entered"))} == {100 * n for n in range(1, 20, 2)}


def test_another_link_is_not_mixed_in(filled: Filled) -> None:
    assert ask(filled, text_of("Delay of $link"), link="sat-2") == []


def test_throughput_is_in_bits_per_second(filled: Filled) -> None:
    assert {(row[1], row[2]) for row in ask(filled, text_of("Throughput of $link"))} == {(64_000, 57_600)}


def test_the_service_rate_is_cycles_over_service_time(filled: Filled) -> None:
    assert {row[1] for row in ask(filled, text_of("Service rate of servers"))} == {3e9}


def test_observed_and_predicted_stand_at_the_same_times(filled: Filled) -> None:
    predicted = [row[0] for row in ask(filled, text_of("Delay of $link", "A"))]
    assert [row[0] for row in ask(filled, text_of("Delay of $link", "B"))] == predicted
    assert len(predicted) == SECONDS


def test_the_share_within_the_band_is_a_share(filled: Filled) -> None:
    assert {row[1] for row in ask(filled, text_of("Within the 90 % band"))} == {1.0}


def test_the_link_variable_offers_the_links_of_the_run(filled: Filled) -> None:
    rows = ask(filled, text_of("variable link", ""))
    assert sorted(str(row[1]) for row in rows) == [LINK, "sat-2>gateway"]


def test_the_run_variable_offers_every_run(filled: Filled) -> None:
    names = [str(row[1]) for row in ask(filled, text_of("variable run", ""))]
    assert len(names) == 2
    assert filled.run in names
