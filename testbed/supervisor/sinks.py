"""Where the telemetry of a run goes: the file that is the truth, and the stores that are fed from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.store.embedded import EmbeddedSink
from testbed.store.feed import Feeder
from testbed.store.runfile import RunFolder


class Sinks:
    """The telemetry file of a run and its followers."""

    def __init__(self, folder: RunFolder, scenario: Scenario) -> None:
        self._writer = folder.telemetry_writer()
        self._feeders: list[Feeder] = []
        if scenario.store.embedded:
            self._feeders.append(Feeder(folder.telemetry_path, EmbeddedSink(folder.database_path)))
        if scenario.store.influxdb.url:
            from testbed.store.influx import feeder
            from testbed.store.influx_settings import InfluxSettings

            settings = InfluxSettings.from_table(scenario.store.influxdb.model_dump())
            assert settings is not None
            self._feeders.append(feeder(folder, settings))
        for one in self._feeders:
            one.start()

    def write(self, records: Iterable[Record]) -> None:
        """Take records over."""
        self._writer.extend(records)

    def close(self) -> dict[str, Any]:
        """Write everything, let the stores catch up for a moment; what became of the records."""
        counters = self._writer.close()
        result: dict[str, Any] = {"file": asdict(counters), "sentences": []}
        sentences = [counters.sentence()]
        for one in self._feeders:
            fed = one.finish()
            result[fed.name] = asdict(fed)
            sentences.append(fed.sentence())
            if fed.behind_bytes and fed.name == "influxdb":
                # the sentence stays in the report of this run, also when the copy has been completed since
                sentences[-1] += "; `testbed influx sync RUN` sends what was missing then"
        result["sentences"] = [text for text in sentences if text]
        return result
