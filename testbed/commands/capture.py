"""The command `testbed capture`: a measurement from live traffic, watched or made by probes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from testbed.commands.options import JsonFile, writable_file, write_json
from testbed.errors import BadInput


def capture(
    where: Annotated[
        str,
        typer.Argument(
            metavar="[PORT|INTERFACE]", help="Whose packets: a port on loopback, an interface, or eth0:5201."
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The measurement: pcap, of probes CSV.", callback=writable_file),
    ] = None,
    duration: Annotated[
        float, typer.Option(metavar="S", help="For how long, in seconds; Ctrl-C ends it earlier.")
    ] = 60.0,
    probe: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT", help="Send probes to a UDP echo there instead; needs no privileges."
        ),
    ] = "",
    interval: Annotated[float, typer.Option(metavar="S", help="Between probes, in seconds.")] = 0.1,
    size: Annotated[int, typer.Option(metavar="BYTES", help="Of a probe.")] = 64,
    json_file: JsonFile = None,
) -> None:
    """Write a measurement from live traffic, to be read by validate."""
    if out is None:
        raise BadInput("capture: --out FILE is missing")
    if bool(where) == bool(probe):
        raise BadInput("capture: give either PORT or INTERFACE to watch, or --probe HOST:PORT")
    for name, value, low, high in (
        ("--duration", duration, 0.1, 1e7), ("--interval", interval, 1e-4, 3600.0),
        ("--size", size, 16, 65_507),
    ):  # fmt: skip
        if not low <= value <= high:
            raise BadInput(f"{name} is {value:g}, allowed: {low:g} to {high:g}")
    wrong = (".pcap", ".pcapng") if probe else (".csv", ".txt", ".json")
    if out.suffix in (*wrong, ".gz"):
        raise BadInput(f"--out {out}: what is written is {'CSV' if probe else 'pcap'}; name it so")
    from rich.progress import Progress

    with Progress(transient=True) as shown:
        task = shown.add_task("probing" if probe else "capturing", total=1.0)

        def progress(share: float) -> None:
            shown.update(task, completed=min(share, 1.0))

        if probe:
            told, result = _probe(probe, out, duration, interval, size, progress)
        else:
            told, result = _sniff(where, out, duration, progress)
    print(told)
    write_json(json_file, {"file": str(out), **result})


def _probe(
    target: str, out: Path, duration_s: float, interval_s: float, size: int, progress: Callable[[float], None]
) -> tuple[str, dict[str, object]]:
    from testbed.measured.probing import probe

    done = probe(target, out, duration_s, interval_s, size, progress)
    told = f"{out}: {done.sent} probes sent, {done.lost} lost"
    if done.reason:
        told += f" ({done.reason})"
    return told, {"sent": done.sent, "lost": done.lost, "refused": done.refused, "reason": done.reason}


def _sniff(
    where: str, out: Path, duration_s: float, progress: Callable[[float], None]
) -> tuple[str, dict[str, object]]:
    from testbed.measured.sniffing import sniff

    done = sniff(where, out, duration_s, progress)
    told = f"{out}: {done.packets} packets"
    if done.dropped:
        told += f", and {done.dropped} that came too fast to be recorded"
    return told, {"packets": done.packets, "dropped": done.dropped}
