"""The runs of the twin's campaign: a small network, and what is made to happen in it, all from a seed.

Three terminals send readings to a gateway and tasks to two servers, over four satellites that pass. In each
run one thing happens that the twin is not told, from a random moment to the end; in quiet runs nothing does,
and satellites come one behind the other for as long as they last. No twin here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from testbed.scenario import Scenario, checks
from testbed.scenario.document import Document

#: what is injected, in turn
KINDS: Final = ("rain", "capacity", "extra_loss", "extra_delay", "slow_server", "stale_orbit", "clock_offset")
WINDOW_S: Final = 0.5
RUN_S: Final = 240.0
#: a twin has this long to learn what is normal, and is given this long to learn a size, s
QUIET_FIRST_S: Final = 60.0
AT_LEAST_S: Final = 60.0
#: a quiet run; satellites one behind the other last so long
QUIET_RUN_S: Final = 1200.0
TERMINALS: Final = 3
SERVERS: Final = ("edge-1", "edge-2")
LINE: Final = "gateway-site>data-centre"
_NOT_THE_LINE: Final = 0.8
_SITES: Final = ((46.3, 8.4), (47.9, 10.6), (46.9, 12.4))


@dataclass(frozen=True)
class Case:
    """One run. `size` is in the unit of the kind: dB, factor, share, ms, factor, km, ms; nan without any."""

    number: int
    kind: str  # empty: nothing happens
    target: str
    size: float
    start_s: float
    duration_s: float
    seed: int


def draw(number: int, seed: int, run_s: float = RUN_S) -> Case:
    """Run `number` of the campaign of a seed, with what happens in it."""
    random = np.random.default_rng([seed, number, 51])
    kind = KINDS[number % len(KINDS)]
    start_s = float(random.uniform(QUIET_FIRST_S, run_s - AT_LEAST_S))
    run_seed = int(random.integers(1, 2**31))
    size, target = _size(kind, random), ""
    if kind == "rain":
        target = str(random.choice(["gateway-site", *_terminals()]))
    elif kind == "slow_server":
        target = str(random.choice(SERVERS))
    elif kind == "clock_offset":
        target = str(random.choice(["gateway-1", *SERVERS, *(f"sensor-{k + 1}" for k in range(TERMINALS))]))
    elif kind == "stale_orbit":
        start_s = 0.0
    case = Case(number, kind, target, size, start_s, run_s, run_seed)
    if not target:
        lasting = in_use(scenario_of(case, bare=True), start_s or 0.5 * run_s)
        satellites = sorted({end for link in lasting for end in link.split(">") if end.startswith("sat-")})
        links = sorted(link for link, end_s in lasting.items() if end_s - start_s >= AT_LEAST_S)
        # the line lasts always: without this it would be the target of most runs
        if len(links) > 1 and random.random() < _NOT_THE_LINE:
            links.remove(LINE)
        target = str(random.choice(satellites if kind == "stale_orbit" else links))
        case = replace(case, target=target)
    return case


def quiet(number: int, seed: int, run_s: float = QUIET_RUN_S) -> Case:
    """Quiet run `number` of the campaign of a seed."""
    random = np.random.default_rng([seed, number, 52])
    return Case(number, "", "", math.nan, math.inf, run_s, int(random.integers(1, 2**31)))


def _size(kind: str, random: np.random.Generator) -> float:
    sign = float(random.choice([-1.0, 1.0]))
    low, high = {
        "rain": (1.0, 10.0),
        "capacity": (0.4, 0.9),
        "extra_loss": (0.01, 0.1),
        "extra_delay": (1.0, 50.0),
        "slow_server": (0.5, 0.9),
        # one to three days of drag that elements do not know of, at 550 km
        "stale_orbit": (8.0, 40.0),
        "clock_offset": (1.0, 50.0),
    }[kind]
    return float(random.uniform(low, high)) * (sign if kind in ("stale_orbit", "clock_offset") else 1.0)


def _terminals() -> list[str]:
    return [f"field-{k + 1}" for k in range(TERMINALS)]


def in_use(scenario: Scenario, from_s: float) -> dict[str, float]:
    """Links `a>b` that carry the terminals' traffic at a moment, by plan -> run time up to which they do."""
    from emulator.world import World

    world = World(scenario.world_spec())
    duration_s = scenario.run.duration_s
    lasting: dict[str, float] = {}
    for t_s in np.arange(from_s, duration_s, 2.0):
        now = {LINE}
        for terminal, satellite in world.epoch(float(t_s)).serving.items():
            if satellite:
                now |= {f"{terminal}>{satellite}", f"{satellite}>gateway-site"}
        if not lasting:
            lasting = dict.fromkeys(now, math.inf)
        lasting = {link: min(end_s, math.inf if link in now else t_s) for link, end_s in lasting.items()}
    return {link: min(end_s, duration_s) for link, end_s in lasting.items()}


_TABLES: Final = {
    "rain": lambda size: {"attenuation_db": size},
    "capacity": lambda size: {"factor": size},
    "extra_loss": lambda size: {"loss": size},
    "extra_delay": lambda size: {"delay_ms": size},
    "slow_server": lambda size: {"factor": size},
    "stale_orbit": lambda size: {"along_track_km": size},
    "clock_offset": lambda size: {"offset_ms": size},
}


def scenario_of(
    case: Case, *, bare: bool = False, megacycles: tuple[float, float] = (100.0, 400.0)
) -> Scenario:
    """The scenario of a run; `bare`: without what happens in it; `megacycles`: work of tasks, from, to."""
    random = np.random.default_rng([case.seed, 53])
    short = case.duration_s <= RUN_S
    deviations = []
    if case.kind and not bare:
        at = case.start_s / case.duration_s
        deviations = [
            {
                "kind": case.kind, "target": case.target, "at": at, "for": 1.0,
                **_TABLES[case.kind](case.size),
            }
        ]  # fmt: skip
    radio: dict[str, Any] = {
        "up_frequency_ghz": 29.5, "down_frequency_ghz": 19.7, "up_bandwidth_mhz": 2.0,
        "down_bandwidth_mhz": 2.0, "up_eirp_dbw": 22.0, "down_eirp_dbw": 13.0, "up_g_over_t_db_k": 13.0,
        "down_g_over_t_db_k": 15.9, "down_system_noise_k": 200.0, "processing_ms": 2.0, "jitter_ms": 0.1,
    }  # fmt: skip
    document = {
        "run": {
            "name": "campaign", "duration_s": case.duration_s, "seed": case.seed, "window_s": WINDOW_S,
            "epoch_s": WINDOW_S, "start_utc": "2025-06-01T12:00:00Z",
        },
        "constellation": {
            "over_region": {
                "latitude_deg": 47.0 + float(random.uniform(-1.0, 1.0)),
                "longitude_deg": 10.5 + float(random.uniform(-1.5, 1.5)),
                "side_km": 2000.0 if short else 10_000.0, "altitude_km": 1000.0,
                "columns": 2 if short else 1, "rows": 2 if short else 12,
                "heading_deg": float(random.uniform(0.0, 360.0)), "name": "sat",
            }
        },
        "radios": {"ka-feeder": radio, "ka-terminal": {**radio, "processing_ms": 4.0, "jitter_ms": 0.3}},
        "places": {
            "field": {
                "kind": "ground", "points": [list(site) for site in _SITES], "altitude_m": 300.0,
                "radio": "ka-terminal", "access": "terminal", "min_elevation_deg": 20.0,
            },
            "gateway-site": {
                "kind": "ground", "latitude_deg": 48.1, "longitude_deg": 11.6, "altitude_m": 520.0,
                "radio": "ka-feeder", "access": "gateway", "min_elevation_deg": 5.0,
            },
            "data-centre": {"kind": "ground", "latitude_deg": 48.3, "longitude_deg": 11.9},
        },
        "links": [
            {"a": "gateway-site", "b": "data-centre", "rate_mbps": 20.0, "delay_ms": 0.5, "jitter_ms": 0.02}
        ],
        "access": {"hysteresis_deg": 15.0},
        "nodes": {
            "sensor": {
                "role": "sensor", "count": TERMINALS, "place": "field", "sink": "gateway-1",
                "reading_interval_s": 0.04, "reading_bytes": 200, "task_interval_s": 1.0,
                "task_kbytes": 10.0, "task_megacycles": list(megacycles), "servers": list(SERVERS),
            },
            "gateway-1": {"role": "gateway", "place": "gateway-site"},
            "edge-1": {"role": "edge", "place": "data-centre", "service_rate_mhz": 3000.0},
            "edge-2": {"role": "edge", "place": "data-centre", "service_rate_mhz": 2000.0},
        },
        "deviations": deviations,
    }  # fmt: skip
    made = Scenario(Document.model_validate(document), "campaign")
    finding = next(checks.findings(made), None)
    if finding is not None:
        raise RuntimeError(f"the campaign's run {case.number} cannot be: {finding}")
    return made
