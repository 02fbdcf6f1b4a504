"""How fast the store takes telemetry and packets: into the run's file, SQLite, InfluxDB and the pcap.

The records look like those of a link's window, without samples. InfluxDB is one of the benchmark's own, on
a free port. Rates hold for whatever else the machine was doing meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from emulator.accounting import HOP_RECORD
from nodes.wire import Record
from testbed.bench import Figures
from testbed.store import embedded, influx
from testbed.store.influx_settings import InfluxSettings
from testbed.store.local_influxd import LocalInfluxd
from testbed.store.packets import PacketWriter
from testbed.store.runfile import RunFolder

RECORDS: Final = 100_000
HOPS: Final = 200_000
LINKS: Final = 40
#: a hundred links and nodes report some 500 records a second; a copy has to catch up many times faster
LEAST_POINTS_PER_S: Final = 20_000.0


def _records() -> list[Record]:
    made = []
    for number in range(RECORDS):
        name = f"field-{number % LINKS}>sat-1"
        tags = {"link": name, "from": name[:-6], "to": "sat-1", "kind": "access"}
        fields = {
            "packets_in": number % 50,
            "bytes_in": 4000,
            "snr_db": 9.5,
            "delay_mean_ms": number / 3,
            "lost": 0,
        }
        made.append(Record(number * 1_000_000, "link", tags, dict(fields)))
    return made


def _per_s(count: int, work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return count / (time.perf_counter() - start_s)


def run() -> Figures:
    """Measure; EnvironmentProblem when `influxd` is not installed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "influxd").mkdir()
        server = LocalInfluxd(folder / "influxd")
        run = RunFolder.create(folder, "bench")
        run.write_run({"epoch_offset_ns": time.time_ns() - time.monotonic_ns()})
        records = _records()

        def write_file() -> None:
            with run.telemetry_writer() as writer:
                for record in records:
                    writer.append(record)

        def write_packets() -> None:
            hops = np.zeros(HOPS // 20, HOP_RECORD)
            with PacketWriter(run.packets_path, 0) as writer:
                for _ in range(20):
                    writer.write(hops)

        figures = {"file_records_per_s": _per_s(RECORDS, write_file)}
        figures["embedded_points_per_s"] = _per_s(RECORDS, lambda: embedded.rebuild(run))
        server.start()
        try:
            settings = InfluxSettings(server.url)
            influx.setup(settings)
            figures["points_per_s"] = _per_s(RECORDS, lambda: influx.sync(run, settings))
        finally:
            server.kill()
        figures["packet_hops_per_s"] = _per_s(HOPS, write_packets)
    return Figures(
        "store", figures, {"points_per_s": LEAST_POINTS_PER_S}, at_least=frozenset({"points_per_s"})
    )
