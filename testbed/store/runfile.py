"""The run folder: where a run keeps what it was, what it was told, and what was measured.

This module makes, opens and reads the folder and writes its small files, each whole or not at all. The
telemetry has a module of its own (`telemetry`), and so have packets and databases.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store.telemetry import TelemetryWriter, plain, read_records


class RunFolder:
    """One run's folder. The names of its files are fixed; see the attributes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.telemetry_path = path / "telemetry.jsonl"
        self.database_path = path / "telemetry.sqlite"
        self.packets_path = path / "packets.pcap"
        self.link_table_path = path / "link_table.bin"
        #: the newest snapshot of the twin's belief
        self.belief_path = path / "belief.bin"
        self.logs_path = path / "logs"
        self.report_json_path = path / "report.json"
        self.report_html_path = path / "report.html"

    @classmethod
    def create(cls, root: Path, name: str, *, now: datetime.datetime | None = None) -> RunFolder:
        """A new folder `root/NAME-UTCSTAMP[-n]`, whatever else is being created beside it.

        BadInput when `root` cannot hold it.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        stem = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name).strip('-') or 'run'}-{now:%Y%m%dT%H%M%SZ}"
        number = 1
        while True:
            folder = cls(root / (stem if number == 1 else f"{stem}-{number}"))
            try:
                root.mkdir(parents=True, exist_ok=True)
                folder.path.mkdir()
                folder.logs_path.mkdir()
            except FileExistsError:
                if not root.is_dir():
                    raise BadInput(f"{root}: is not a folder; runs are written into one") from None
                number += 1
            except OSError as error:
                raise BadInput(f"{folder.path}: cannot be created ({error.strerror})") from None
            else:
                return folder

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """An existing run's folder; BadInput when there is none."""
        folder = cls(Path(path).resolve())
        if not folder.path.is_dir():
            raise BadInput(f"{path}: there is no such run folder")
        if not (folder.path / "run.json").is_file() and not folder.telemetry_path.is_file():
            raise BadInput(f"{path}: is not a run folder (it holds neither run.json nor telemetry.jsonl)")
        return folder

    def telemetry_writer(self) -> TelemetryWriter:
        """The one writer of the run's telemetry; the caller closes it."""
        return TelemetryWriter(self.telemetry_path)

    def records(self) -> Iterator[Record]:
        """The run's telemetry; see `read_records`."""
        return read_records(self.telemetry_path)

    def write_json(self, name: str, value: object) -> None:
        """Write `value` as the file `name`, whole or not at all; OSError when the disk refuses."""
        write_atomically(self.path / name, json.dumps(value, indent=1, default=plain).encode() + b"\n")

    def write_run(self, info: dict[str, Any]) -> None:
        """Write run.json: seed, versions, t0, epoch_offset_ns, places, ports, status."""
        self.write_json("run.json", info)

    def write_scenario(self, scenario: dict[str, Any]) -> None:
        """Write scenario.json: the scenario with every default filled in."""
        self.write_json("scenario.json", scenario)

    def write_public(self, public: bytes | dict[str, Any]) -> None:
        """Write public.json: what the twin is given; bytes are written as they are."""
        if isinstance(public, bytes):
            write_atomically(self.path / "public.json", public)
        else:
            self.write_json("public.json", public)

    def run_info(self) -> dict[str, Any]:
        """run.json; BadInput when it is missing or damaged."""
        return self._read_json("run.json")

    def scenario(self) -> dict[str, Any]:
        """scenario.json; BadInput when it is missing or damaged."""
        return self._read_json("scenario.json")

    def public(self) -> dict[str, Any]:
        """public.json; BadInput when it is missing or damaged."""
        return self._read_json("public.json")

    def epoch_offset_ns(self) -> int:
        """What turns this run's t_ns into nanoseconds since 1970 UTC; BadInput when run.json has none."""
        offset = self.run_info().get("epoch_offset_ns")
        if not isinstance(offset, int):
            raise BadInput(
                f"{self.path / 'run.json'}: epoch_offset_ns is {offset!r}, not a whole number of ns"
            )
        return offset

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise BadInput(f"{path}: is missing from the run folder") from None
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise BadInput(f"{path}: is not JSON ({error})") from None
        if not isinstance(value, dict):
            raise BadInput(f"{path}: holds a {type(value).__name__}, not an object")
        return value


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by a file with `data`: readers see the old or the new one, whole."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
