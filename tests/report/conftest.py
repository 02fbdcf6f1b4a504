"""Run folders made of plain JSON lines, as a run leaves them: small worlds with known numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

T0_NS = 1_000_000_000_000
WINDOW_S = 0.5
RAIN = (0.35, 0.65)
SLOW = (0.5, 1.0)
FIELDS = {f"field-{i}": (44.0 + 1.1 * i, 4.0 + 1.9 * i) for i in range(1, 8)}
PLACES = {**FIELDS, "hap": (47.5, 11.0), "gateway": (46.5, 8.5), "data-centre": (48.1, 11.6)}
SATELLITES = ("sat-1", "sat-2", "sat-3", "sat-4")


class Folder:
    """Writes one synthetic run folder; the options are what tests vary."""

    def __init__(
        self, path: Path, *, duration_s: float = 20.0, links: int = 4, deviations: bool = True
    ) -> None:
        self.path = path
        self.duration_s = duration_s
        self.deviations = deviations
        self.random = np.random.default_rng(1)
        self.records: list[dict[str, Any]] = []
        everything = [("gateway", "sat-1"), ("sat-1", "gateway")]
        everything += [("gateway", "data-centre"), ("data-centre", "gateway")]
        for index, place in enumerate([*FIELDS, "hap"]):
            satellite = SATELLITES[index % 4]
            everything += [(place, satellite), (satellite, place)]
        everything += [("gateway", "sat-3"), ("sat-3", "gateway")]
        self.links = everything[:links]
        self.info = self._info()
        self.scenario: dict[str, Any] = {"run": {"name": "laptop"}, "deviations": []}
        self.public: dict[str, Any] = {"world": self._world()}

    def add(
        self, t_s: float, measurement: str, tags: dict[str, str], samples: Any = (), **fields: Any
    ) -> None:
        """One record at run time `t_s`."""
        record = {
            "t_ns": T0_NS + round(t_s * 1e9),
            "measurement": measurement,
            "tags": tags,
            "fields": fields,
        }
        if len(samples):
            record["samples"] = [round(float(s), 5) for s in samples]
        self.records.append(record)

    def fill(self, *, twin_until_s: float = math.inf) -> Folder:
        """The records of an ordinary run; the twin falls silent at `twin_until_s`."""
        for a, b in self.links:
            self._link(f"{a}>{b}", a, b, twin_until_s)
        self._servers(twin_until_s)
        for second in range(1, int(self.duration_s)):
            delays = self.random.gamma(9, 2.5, 20)
            self.add(
                second, "flow", {"node": "gateway", "source": "sensor-1", "flow": "readings"}, delays,
                packets=20, bytes=4000, lost=0, delay_mean_ms=float(delays.mean()), age_s=0.1,
            )  # fmt: skip
        if self.deviations:
            self._deviations(twin_until_s)
        return self

    def write(self) -> Path:
        """The folder on disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.records.sort(key=lambda r: r["t_ns"])
        lines = "".join(json.dumps(r) + "\n" for r in self.records)
        (self.path / "telemetry.jsonl").write_text(lines)
        for name, content in (("run", self.info), ("scenario", self.scenario), ("public", self.public)):
            (self.path / f"{name}.json").write_text(json.dumps(content))
        return self.path

    def fade_db(self, t_s: float) -> float:
        """Rain over the gateway: 8 dB with a 2 s ramp."""
        if not self.deviations:
            return 0.0
        start, end = (share * self.duration_s for share in RAIN)
        return 8.0 * max(0.0, min(1.0, (t_s - start) / 2.0, (end - t_s) / 2.0))

    def speed(self, t_s: float) -> float:
        """Factor of edge-sat's service rate."""
        slow = self.deviations and t_s >= SLOW[0] * self.duration_s
        return 0.5 if slow else 1.0

    def _link(self, name: str, a: str, b: str, twin_until_s: float) -> None:
        fixed = "sat" not in name
        kind = "fixed" if fixed else ("feeder" if "gateway" in name else "access")
        tags = {"link": name, "from": a, "to": b, "kind": kind}
        base = 1.5 if fixed else 6.0 + 2.0 * self.random.random()
        phase = self.random.random()
        noise = 0.0
        for step in range(int(self.duration_s / WINDOW_S)):
            t_s = step * WINDOW_S
            fade = self.fade_db(t_s) if "gateway" in name and not fixed else 0.0
            arc = 0.0 if fixed else (t_s / 60.0 - phase) ** 2
            true_ms = base + 2.0 * arc
            extra = 0.35 * fade
            noise = 0.7 * noise + self.random.normal(0, 0.04)
            packets = int(self.random.poisson(30))
            delays = true_ms + extra + noise + self.random.exponential(0.25, max(packets, 2))
            lost = int(self.random.binomial(packets, 0.002 + 0.004 * fade))
            snr = 14.0 - 3.0 * arc - fade
            fields = {
                "window_s": WINDOW_S, "packets_in": packets, "bytes_in": packets * 900,
                "packets_out": packets - lost, "bytes_out": (packets - lost) * 900, "lost": lost,
                "dropped_queue": 0, "dropped_down": 0, "busy_s": 0.1 + 0.02 * fade,
                "delay_mean_ms": float(delays.mean()), "queue_packets": 1,
            }  # fmt: skip
            if not fixed:
                fields["snr_db"] = snr + self.random.normal(0, 0.3)
            self.add(t_s + WINDOW_S, "link", tags, delays, **fields)
            truth = {"delay_ms": true_ms, "rate_mbps": 20.0, "loss": 0.002, "up": True}
            if not fixed:
                truth |= {"snr_db": snr, "attenuation_db": 0.7 + fade, "elevation_deg": 60.0 - 60 * arc}
            self.add(t_s + WINDOW_S, "plant_link", tags, **truth)
            if t_s <= twin_until_s:
                self._belief(
                    t_s, name, "delay_ms", true_ms + 0.25 + extra * 0.9, 0.08, delays.mean(), fade, base
                )
                if not fixed:
                    shown = snr + (fade if t_s < RAIN[0] * self.duration_s + 2.5 else 0.0)
                    self._belief(t_s, name, "snr_db", shown, 0.3, fields["snr_db"], fade, 14.0)

    def _belief(
        self,
        t_s: float,
        target: str,
        quantity: str,
        mean: float,
        sd: float,
        seen: float,
        fade: float,
        base: float,
    ) -> None:
        tags = {"target": target, "quantity": quantity}
        low, high = mean - 1.645 * sd, mean + 1.645 * sd
        fields = {
            "mean": mean, "median": mean, "sd": sd, "lo90": low, "hi90": high, "window_s": WINDOW_S,
            "baseline_constant": base * 1.05, "baseline_propagation": base - 0.5,
        }  # fmt: skip
        if quantity == "delay_ms":
            fields |= {"packet_lo90": mean - 0.3, "packet_hi90": mean + 0.7}
        self.add(t_s, "prediction", tags, **fields)
        self.add(
            t_s, "residual", tags, observed=float(seen), predicted=mean,
            z=float((seen - mean) / sd), inside90=bool(low <= seen <= high),
        )  # fmt: skip

    def _servers(self, twin_until_s: float) -> None:
        for server, mhz in (("edge-sat", 3000.0), ("edge-ground", 6000.0)):
            t_s = 0.4
            while t_s < self.duration_s:
                cycles = float(self.random.uniform(100e6, 1400e6))
                rate = mhz * 1e6 * (self.speed(t_s) if server == "edge-sat" else 1.0)
                rate *= self.random.normal(1.0, 0.015)
                self.add(
                    t_s, "task", {"node": server, "client": "sensor-1"},
                    cycles=cycles, service_s=cycles / rate, queue_s=0.01, bytes=50_000, queue_length=0,
                )  # fmt: skip
                self.add(
                    t_s, "offload", {"node": "sensor-1", "server": server},
                    latency_s=cycles / rate + 0.1, cycles=cycles, bytes=50_000, ok=True, retransmissions=0,
                )  # fmt: skip
                if t_s <= twin_until_s:
                    late = t_s < SLOW[0] * self.duration_s + 1.8
                    believed = mhz * 1e6 * (self.speed(t_s) if server == "edge-sat" and not late else 1.0)
                    self._belief(
                        t_s, server, "service_rate_hz", believed, believed * 0.02, rate, 0.0, mhz * 1e6
                    )
                t_s += float(self.random.exponential(0.35))

    def _deviations(self, twin_until_s: float) -> None:
        rain_start, rain_end = (share * self.duration_s for share in RAIN)
        slow_start = SLOW[0] * self.duration_s
        rain = {"deviation": "rain", "target": "gateway"}
        slow = {"deviation": "slow_server", "target": "edge-sat"}
        self.add(rain_start, "plant_event", rain, what="start", attenuation_db=8.0)
        self.add(rain_end, "plant_event", rain, what="end", attenuation_db=8.0)
        self.add(slow_start, "plant_event", slow, what="start", factor=0.5)
        if rain_start + 1.9 <= twin_until_s:
            seen = {"kind": "attenuation", "target": "gateway", "where": "gateway"}
            self.add(
                rain_start + 1.9, "detection", seen, onset_s=rain_start + 0.8, detected_s=rain_start + 1.9,
                size=7.6, size_sd=0.5, unit="dB", statistic=14.0, threshold=9.0,
                links="gateway>sat-1,sat-1>gateway",
            )  # fmt: skip
            self.add(rain_end + 1.5, "recovery", seen)
        if slow_start + 1.6 <= twin_until_s:
            self.add(
                slow_start + 1.6, "detection",
                {"kind": "slow_server", "target": "edge-sat", "where": "edge-sat"},
                onset_s=slow_start + 0.2, detected_s=slow_start + 1.6, size=0.51, size_sd=0.02, unit="ratio",
                statistic=18.0, threshold=9.0,
            )  # fmt: skip

    def _world(self) -> dict[str, Any]:
        region = {
            "latitude_deg": 47.0, "longitude_deg": 10.0, "side_km": 2000.0, "altitude_km": 1000.0,
            "at_s": self.duration_s / 2,
        }  # fmt: skip
        places = [
            {
                "id": name, "kind": "aerial" if name == "hap" else "ground",
                "latitude_deg": lat, "longitude_deg": lon,
            }
            for name, (lat, lon) in PLACES.items()
        ]  # fmt: skip
        return {
            "start_utc": "2025-10-01T12:00:00Z", "duration_s": self.duration_s, "epoch_s": 0.1,
            "places": places, "constellation": {"over_region": region},
        }  # fmt: skip

    def _info(self) -> dict[str, Any]:
        senders = [
            *(f"sensor-{i}" for i in range(1, 11)),
            "relay",
            "gateway",
            "edge-ground",
            "edge-sat",
            "mcu-1",
        ]
        nodes = {
            name: {
                "role": "sensor" if name.startswith("sensor") else name.split("-")[0],
                "place": "field-1", "status": "finished", "exit_status": 0, "ended_s": self.duration_s,
                "sent": 1000, "received": 400,
            }
            for name in senders
        }  # fmt: skip
        links = {
            f"{a}>{b}": {
                "packets_in": 3000, "bytes_in": 2_700_000, "packets_out": 2985, "in_flight": 3,
                "drops": {"radio_loss": 12},
            }
            for a, b in self.links
        }  # fmt: skip
        edges = np.geomspace(0.1, 10_000, 61)
        middle = np.sqrt(edges[1:] * edges[:-1])
        shape = 60_000 * np.exp(-0.5 * (np.log(middle / 2.2) / 0.7) ** 2) + 400 * np.exp(
            -0.5 * (np.log(middle / 25) / 0.8) ** 2
        )
        histogram = {"edges_us": edges[1:].tolist(), "counts": shape.astype(int).tolist()}
        late = {"p50": 2.1, "p99": 24.0, "p999": 61.0, "max": 180.0, "count": 15_000, "histogram": histogram}
        return {
            "id": "laptop-20251001T120000Z", "scenario": "laptop", "seed": 7,
            "versions": {"testbed": "0.1.0"}, "t0_ns": T0_NS,
            "epoch_offset_ns": 1_758_000_000_000_000_000, "start_utc": "2025-10-01T12:00:00Z",
            "duration_s": self.duration_s, "planned_duration_s": self.duration_s, "status": "completed",
            "places": [*PLACES, *SATELLITES], "ports": {name: i + 1 for i, name in enumerate(senders)},
            "nodes": nodes, "twin_enabled": True, "twin_status": "finished",
            "first_packet_s": 2.4, "telemetry": {"written": 1, "lost": 0},
            "channel": {
                "counters": {
                    "ingress": 15_000, "delivered": 14_800, "in_flight": 15,
                    "log_overflow": 0, "fates": {"radio_loss": 160, "queue_full": 25},
                },
                "links": links, "lateness_us": late, "delay_error_us": late,
                "epochs": {"count": 200, "overruns": 0, "compute_ms_p50": 0.8, "compute_ms_p99": 2.1},
                "scheduling": "SCHED_FIFO", "latency_mode": "balanced", "final": True,
            },
        }  # fmt: skip


@pytest.fixture(scope="session")
def folder_class() -> type[Folder]:
    """The maker of run folders, for those that tests share."""
    return Folder


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Folder]:
    """Makes run folders below the test's own directory."""

    def make(**options: Any) -> Folder:
        return Folder(tmp_path / "run", **options)

    return make
