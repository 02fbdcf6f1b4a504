"""Makes the shipped measurements: probes over a link whose truth is published beside them, in virtual time.

`python -m testbed.measured.shipped.make` writes the same files again: `slotted_levels.csv` from a seed, then
what the probes of `slotted.toml` met over it, and `slotted.json`, which says what is true of both.
"""

from __future__ import annotations

import gzip
import json
import math
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from testbed.measured.measurement import Array

HERE: Final = Path(__file__).parent
PERIOD_S: Final = 15.0
OFFSET_S: Final = 12.0
_SEED: Final = 15
#: levels of the round trip: the least, and above it a log-normal that remembers part of the slot before
_FLOOR_MS: Final = 22.0
_MEDIAN_MS: Final = 14.0
_SIGMA: Final = 0.55
_MEMORY: Final = 0.4
_PARTS: Final = ("slotted-1", "slotted-2")


def levels(duration_s: float) -> tuple[Array, Array]:
    """Seconds [slots] at which levels begin, and the levels of the round trip in ms."""
    starts_s = np.append(0.0, np.arange(OFFSET_S, duration_s, PERIOD_S))
    draws = np.random.default_rng(_SEED).standard_normal(len(starts_s))
    states = np.empty(len(draws))
    states[0] = draws[0]
    for slot in range(1, len(draws)):
        states[slot] = _MEMORY * states[slot - 1] + math.sqrt(1.0 - _MEMORY**2) * draws[slot]
    return starts_s, np.round(_FLOOR_MS + _MEDIAN_MS * np.exp(_SIGMA * states), 3)


def write_levels(folder: Path, duration_s: float) -> None:
    """`slotted_levels.csv`, which the scenario plays."""
    rows = (f"{at:g},{level:.3f}\n" for at, level in zip(*levels(duration_s), strict=True))
    (folder / "slotted_levels.csv").write_text("t_s,rtt_ms\n" + "".join(rows), encoding="utf-8")


def round_trips(scenario: Any) -> tuple[Array, Array]:
    """When each ping of the scenario was sent, s after the start, and its round trip in ms, nan if lost."""
    from emulator.accounting import DELIVERED
    from testbed.ahead import Ahead

    count = round(scenario.run.duration_s / 0.01)
    done = Ahead(scenario).simulate(log=False, samples=count)
    assert not done.results.unsampled
    ends = done.results.samples
    pongs = [row for row, name in enumerate(done.results.names) if "pong" in name]
    # a ping that arrived has no fate of its own here: that of its answer counts
    ends = ends[(ends["fate"] != DELIVERED) | np.isin(ends["row"], pongs)]
    ends = ends[np.argsort(ends["sent_ns"], kind="stable")]
    return ends["sent_ns"] / 1e9, np.where(ends["fate"] == DELIVERED, ends["delay_ns"] / 1e6, np.nan)


def write(folder: Path = HERE) -> list[Path]:
    """Make all files anew in `folder`, which must hold `slotted.toml`; their paths."""
    from testbed.scenario import load

    scenario_path = folder / "slotted.toml"
    duration_s = float(_duration_of(scenario_path))
    write_levels(folder, duration_s)
    scenario = load(scenario_path)
    sent_s, values = round_trips(scenario)
    start_s = _posix_s(scenario.run.start_utc)
    written = [folder / "slotted_levels.csv"]
    for index, part in enumerate(_PARTS):
        share = duration_s / len(_PARTS)
        of_it = (sent_s >= index * share) & (sent_s < (index + 1) * share)
        numbers = np.flatnonzero(of_it) + 1
        rows = (
            f"{start_s + at:.3f},{number},{-1 if math.isnan(value) else format(value, '.2f')}\n"
            for at, number, value in zip(sent_s[of_it], numbers, values[of_it], strict=True)
        )
        path = folder / f"{part}.csv.gz"
        text = ("unix_s,seq,rtt_ms\n" + "".join(rows)).encode()
        path.write_bytes(gzip.compress(text, 9, mtime=0))
        written.append(path)
    truth = folder / "slotted.json"
    truth.write_text(json.dumps(_truth(scenario), indent=1) + "\n", encoding="utf-8")
    return [*written, truth]


def _truth(scenario: Any) -> dict[str, Any]:
    model = scenario.document.models["sky"]
    jitter_ms = scenario.document.links[0].jitter_ms
    enter, leave = model.loss.enter, model.loss.leave
    bad = enter / (enter + leave)
    return {
        "about": "round trips over a link of slotted.toml, 20 a second; -1: lost",
        "made_by": "python -m testbed.measured.shipped.make",
        "slots": {"period_s": PERIOD_S, "offset_s": OFFSET_S, "levels": "slotted_levels.csv"},
        "jitter_of_each_direction": {
            "distribution": "gamma", "mean_ms": jitter_ms, "shape": model.jitter.shape,
            "correlation_ms": model.jitter.correlation_ms,
        },
        "loss_of_each_direction": {"enter": enter, "leave": leave, "rate": bad, "mean_burst": 1.0 / leave},
        "loss_rate": 1.0 - (1.0 - bad) ** 2,
    }  # fmt: skip


def _duration_of(path: Path) -> float:
    return float(tomllib.loads(path.read_text(encoding="utf-8"))["run"]["duration_s"])


def _posix_s(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()


if __name__ == "__main__":
    for _path in write():
        print(_path)
