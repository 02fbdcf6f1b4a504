"""How long a whole epoch takes, from positions to routes, by the size of the constellation.

Every epoch is one second after the one before, and has everything: positions, which satellites twenty
places see and a decision of all of them, inter-satellite links of a plus grid, link budgets in rain, and
routes between all twenty. Compilation is not in the times: a whole small world goes before the first that
is measured, and in each three epochs before those that count.
The largest size runs in a process of its own, which tells the memory it took.
"""

from __future__ import annotations

import cProfile
import math
import multiprocessing
import pstats
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from emulator.spec import WorldSpec
from testbed.bench import Figures
from testbed.bench._worlds import SIZES, of_elements, of_size
from testbed.errors import BadInput

WARM_EPOCHS: Final = 3
EPOCHS: Final = 40
#: further epochs under the profiler, for the parts only
_PROFILED: Final = 10
#: rain over every place, dB
_RAIN_DB: Final = 2.0
LARGEST: Final = SIZES[-1]
LIMITS: Final = {"epoch_ms_1584": 10.0, f"epoch_ms_{LARGEST}": 250.0, f"memory_mb_{LARGEST}": 1024.0}
LIMIT_ELEMENTS_MS: Final = 40.0

#: a module of the emulator belongs to the first part that its path begins with
_PARTS: Final = (
    ("positions", ("orbits/",)),
    ("access", ("geometry", "topology/access", "topology/policies", "topology/sta")),
    ("routes", ("topology/routes", "topology/trees")),
    ("links", ("topology/",)),
    ("radio", ("radio/", "rows", "weather", "profiles", "nominal", "disturbance")),
    ("table", ("",)),
)


def run(elements: Path | None = None, plot: Path | None = None) -> Figures:
    """Measure every size, and `elements` when given; `plot`: a PNG of the growth.

    Raises `BadInput` when the elements cannot be read or the figure cannot be written.
    """
    if plot is not None and not plot.absolute().parent.is_dir():
        raise BadInput(f"--plot {plot}: cannot be written (there is no folder {plot.absolute().parent})")
    duration_s = float(WARM_EPOCHS + EPOCHS + _PROFILED)
    worlds: dict[str, WorldSpec] = {}
    if elements is not None:
        worlds["elements"] = _of_file(elements, duration_s)
    worlds |= {str(size): of_size(size, duration_s) for size in SIZES}
    measured: dict[str, dict[str, float]] = {}
    _compile()
    for name, spec in worlds.items():
        measured[name] = _in_own_process(spec) if name == str(LARGEST) else _measure(spec)
        _progress(name, measured[name])
    figures = {}
    for name, one in measured.items():
        for key in ("epoch_ms", "setup_s", "memory_mb"):
            if key in one:
                figures[f"{key}_{name}"] = one[key]
        figures[f"epoch_ms_{name}_p90"] = one["p90_ms"]
        figures[f"epoch_ms_{name}_max"] = one["max_ms"]
    if elements is not None:
        figures["satellites_elements"] = measured["elements"]["satellites"]
    _print_growth(measured)
    if plot is not None:
        _draw(measured, plot)
    limits = dict(LIMITS)
    if elements is not None:
        limits["epoch_ms_elements"] = LIMIT_ELEMENTS_MS
    return Figures("epoch", figures, limits)


def _of_file(path: Path, duration_s: float) -> WorldSpec:
    from emulator.errors import WorldError
    from emulator.orbits.elements import read_text

    try:
        return of_elements(read_text(path), duration_s, str(path))
    except WorldError as error:
        raise BadInput(f"--elements {error}") from None


def _compile() -> None:
    """Run all that is measured once, uncounted: some of it is first needed when links come and go."""
    _measure(of_size(SIZES[0], float(WARM_EPOCHS + EPOCHS + _PROFILED)))


def _measure(spec: WorldSpec) -> dict[str, float]:
    """Build a world and ask it for epochs: figures by name, and `part:` names for the parts of an epoch."""
    from emulator.world import Adjustments, World

    started_s = time.perf_counter()
    world = World(spec, Adjustments(attenuation_db={place.id: _RAIN_DB for place in spec.places}))
    setup_s = time.perf_counter() - started_s
    spent_ms = []
    reached = 0
    for number in range(WARM_EPOCHS + EPOCHS):
        started_s = time.perf_counter()
        table = world.epoch(number * spec.epoch_s)
        spent_ms.append((time.perf_counter() - started_s) * 1e3)
        reached = int((table.next_hop[world.hosts] >= 0).sum())
    counted = sorted(spent_ms[WARM_EPOCHS:])
    result = {
        "satellites": float(len(world.satellites)),
        "links": float(len(table)),
        "ways": reached / (len(world.hosts) * (len(world.hosts) - 1)),
        "setup_s": setup_s,
        "epoch_ms": counted[len(counted) // 2],
        "p90_ms": counted[math.ceil(0.9 * len(counted)) - 1],
        "max_ms": counted[-1],
    }
    profile = cProfile.Profile()
    first = WARM_EPOCHS + EPOCHS
    for number in range(first, first + _PROFILED):
        profile.enable()
        world.epoch(number * spec.epoch_s)
        profile.disable()
    for part, spent_s in _parts(pstats.Stats(profile)).items():
        result[f"part:{part}"] = spent_s / _PROFILED * 1e3
    return result


def _parts(stats: pstats.Stats) -> dict[str, float]:
    """Seconds by part: what runs in a module of the emulator, with all that it calls outside of it."""
    own: dict[str, float] = dict.fromkeys((part for part, _ in _PARTS), 0.0)
    # not in the stubs: {(file, line, name): (calls, primitive calls, own s, total s, {caller: the same})}
    entries: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    for function, (_, _, own_s, _, callers) in entries.items():
        part = _part_of(function[0])
        if part:
            own[part] += own_s
            continue
        for caller, (_, _, _, total_s) in callers.items():
            if called_by := _part_of(caller[0]):
                own[called_by] += total_s
    return own


def _part_of(file: str) -> str:
    """The part that a source file belongs to, empty when it is not the emulator's."""
    _, found, module = file.rpartition("/emulator/")
    if not found:
        return ""
    return next(part for part, beginnings in _PARTS if module.startswith(beginnings))


def _in_own_process(spec: WorldSpec) -> dict[str, float]:
    # an interrupt is this process's to answer, which then ends the other
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        return pool.apply(_measure_memory, (spec,))


def _measure_memory(spec: WorldSpec) -> dict[str, float]:
    _compile()
    return {**_measure(spec), "memory_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory this process held, in units of 2^20 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # not getrusage: after exec that still has the peak of the process that made this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024.0
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _progress(name: str, one: dict[str, float]) -> None:
    print(
        f"epoch: {name:>8}  set up in {one['setup_s']:.2f} s, {EPOCHS} epochs of {one['epoch_ms']:.2f} ms",
        flush=True,
    )


def _print_growth(measured: dict[str, dict[str, float]]) -> None:
    """Times by size, and where they go. The parts are measured under a profiler, which adds a little."""
    parts = [part for part, _ in _PARTS]
    print(f"\n{'satellites':>10}{'links':>9}{'ways':>6}{'median ms':>11}{'p90':>9}{'worst':>9}   mean ms:")
    print(" " * 54 + "".join(f"{part:>11}" for part in parts))
    for one in sorted(measured.values(), key=lambda one: one["satellites"]):
        print(
            f"{one['satellites']:>10.0f}{one['links']:>9.0f}{one['ways']:>6.0%}{one['epoch_ms']:>11.2f}"
            f"{one['p90_ms']:>9.2f}{one['max_ms']:>9.2f}"
            + "".join(f"{one[f'part:{part}']:>11.2f}" for part in parts)
        )
    print()


def _draw(measured: dict[str, dict[str, float]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from testbed.report.style import BLUE, GRID, MUTED, ORANGE

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sizes = [measured[str(size)] for size in SIZES]
    x = [one["satellites"] for one in sizes]
    axes.plot(x, [one["epoch_ms"] for one in sizes], "o-", color=BLUE, label="median")
    axes.fill_between(
        x, [one["epoch_ms"] for one in sizes], [one["max_ms"] for one in sizes],
        color=BLUE, alpha=0.2, linewidth=0, label="median to worst",
    )  # fmt: skip
    if "elements" in measured:
        one = measured["elements"]
        axes.plot(one["satellites"], one["epoch_ms"], "D", color=ORANGE, label="element file")
    limits = {size: LIMITS[f"epoch_ms_{size}"] for size in SIZES if f"epoch_ms_{size}" in LIMITS}
    axes.plot(list(limits), list(limits.values()), "_", color=MUTED, markersize=14, label="limit")
    axes.set(xscale="log", yscale="log", xlabel="satellites", ylabel="one epoch, ms")
    axes.set_title("A whole epoch with 20 places: positions, access, links, radio, routes", fontsize=10)
    axes.grid(visible=True, which="major", color=GRID, linewidth=0.6)
    axes.legend(frameon=False)
    try:
        figure.savefig(path, format="png", dpi=150)
    except OSError as error:
        raise BadInput(f"--plot {path}: cannot be written ({error.strerror})") from None
