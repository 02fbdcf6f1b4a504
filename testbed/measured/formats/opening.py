"""`open_measurement`: a recorded measurement from whatever file it is in.

Which format a file has, its first bytes tell, not its name. How each is read stands in its own module.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats import (
    frames,
    iperf3_json,
    irtt_json,
    mahimahi_trace,
    owping_raw,
    packet_capture,
    ping_text,
    run_folder,
    table,
)
from testbed.measured.formats.columns import Columns
from testbed.measured.formats.source import Source
from testbed.measured.measurement import QUANTITIES, Found, Measurement, Quantity

FORMATS: Final = (
    "ping -D text, irtt JSON, iperf3 JSON, owping -R, pcap and pcapng, Mahimahi traces, CSV, "
    "and folders of runs"
)


#: what the names of measurements begin with that come with the testbed
SHIPPED: Final = "shipped:"


def open_measurement(
    paths: str | Path | Sequence[str | Path],
    columns: str | Columns | None = None,
    quantity: Quantity | None = None,
    begin_s: float | None = None,
    end_s: float | None = None,
) -> Measurement:
    """The measurement in a file, or in several files that are parts of one, or `shipped:NAME`.

    `columns`: what the columns of a table are, `time=COL,value=COL[,seq=COL][,unit=UNIT]...`; `quantity`:
    which one, where a file has several; samples from `begin_s` on and before `end_s` (POSIX seconds). Files
    are put together in the order of their times. Raises `BadInput` with one sentence that names the file.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise BadInput("name at least one file of measurements")
    if quantity is not None and quantity not in QUANTITIES:
        raise BadInput(f"the quantity is {quantity!r}, allowed: {', '.join(QUANTITIES)}")
    if not isinstance(columns, Columns):
        columns = Columns.parse(columns or "")
    result = _joined([_one(path, columns, quantity) for path in _with_both_ends(given)])
    if begin_s is None and end_s is None:
        return result
    low = result.begin_s if begin_s is None else begin_s
    high = np.inf if end_s is None else end_s
    try:
        return result.between(low, high)
    except BadInput:
        raise BadInput(
            f"{result.source}: holds no samples from {low:.3f} to {high:.3f} s; they are from "
            f"{result.begin_s:.3f} to {result.end_s:.3f} s since 1970"
        ) from None


def _with_both_ends(given: list[str | Path]) -> list[str]:
    """Two captures of the same time are the two ends of one path: written as FIRST+SECOND."""
    names = [str(path) for path in given]
    if len(names) == 2 and all(Path(name).is_file() for name in names):
        sources = [Source(Path(name)) for name in names]
        if all(frames.recognises(source.head) for source in sources):
            (begin_s, end_s), (other_begin_s, other_end_s) = map(packet_capture.span_s, sources)
            if begin_s <= other_end_s and other_begin_s <= end_s:
                return ["+".join(names)]
    return names


def shipped() -> dict[str, Path]:
    """The measurements that come with the testbed, by what follows `shipped:`."""
    folder = Path(__file__).parent.parent / "shipped"
    return {path.name.removesuffix(".csv.gz"): path for path in sorted(folder.glob("*.csv.gz"))}


def _one(path: str, columns: Columns, quantity: Quantity | None) -> Measurement:
    if path.startswith(SHIPPED):
        name, there_are = path.removeprefix(SHIPPED), shipped()
        if name not in there_are:
            raise BadInput(f"{path}: no such measurement, allowed: {SHIPPED}{f', {SHIPPED}'.join(there_are)}")
        return table.read(Source(there_are[name], path), columns, quantity)
    ends = path.split("+")
    if len(ends) == 2 and not Path(path).exists():
        first, second = (Source(Path(end)) for end in ends)
        for end in (first, second):
            if not frames.recognises(end.head):
                raise BadInput(f"{end.name}: is no capture; FIRST+SECOND must both be pcap or pcapng")
        return _asked_for(packet_capture.read_both(first, second, columns.flow), quantity)
    if run_folder.recognises(Path(path)):
        return run_folder.read(Path(path), path, columns.flow, quantity)
    source = Source(Path(path), path)
    head = source.head
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{source.name}: is text in UTF-16, allowed: UTF-8")
    result = None
    if frames.recognises(head):
        result = packet_capture.read(source, columns.flow)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        result = _of_json(source, columns, quantity)
    elif ping_text.recognises(head):
        result = ping_text.read(source)
    elif owping_raw.recognises(head):
        result = owping_raw.read(source)
    elif mahimahi_trace.recognises(head):
        result = mahimahi_trace.read(source)
    elif table.recognises(head):
        result = table.read(source, columns, quantity)
    if result is None:
        raise BadInput(f"{source.name}: has no format that is known, which are: {FORMATS}")
    return _asked_for(result, quantity)


def _asked_for(result: Measurement, quantity: Quantity | None) -> Measurement:
    if quantity is not None and result.quantity != quantity:
        raise BadInput(
            f"{result.source}: holds {QUANTITIES[result.quantity]}, and {QUANTITIES[quantity]} is asked for"
        )
    return result


def _of_json(source: Source, columns: Columns, quantity: Quantity | None) -> Measurement:
    if irtt_json.recognises(source.head):
        return irtt_json.read(source, columns, quantity)
    if iperf3_json.recognises(source.head):
        return iperf3_json.read(source)
    raise BadInput(f"{source.name}: is JSON, but neither of irtt (round_trips) nor of iperf3 (intervals)")


def _joined(parts: list[Measurement]) -> Measurement:
    if len(parts) == 1:
        return parts[0]
    kinds = {part.quantity for part in parts}
    if len(kinds) > 1:
        raise BadInput(
            "parts of one measurement must hold the same quantity: "
            + ", ".join(f"{part.source} holds {QUANTITIES[part.quantity]}" for part in parts)
        )
    parts = sorted(parts, key=lambda part: part.begin_s)
    remarks = [f"{part.source}: {remark}" for part in parts for remark in part.remarks]
    for first, second in itertools.pairwise(parts):
        if second.begin_s <= first.end_s:
            remarks.append(
                f"{first.source} and {second.source} overlap by {first.end_s - second.begin_s:.3g} s; "
                "their samples are mixed by time"
            )
    times_s = np.concatenate([part.times_s for part in parts])
    values = np.concatenate([part.values for part in parts])
    if np.any(times_s[1:] < times_s[:-1]):
        order = np.argsort(times_s, kind="stable")
        times_s, values = times_s[order], values[order]
    losses_known = all(part.losses_known for part in parts)
    if not losses_known:
        answered = ~np.isnan(values)
        times_s, values = times_s[answered], values[answered]
    bounds = [part.clock_bound_ms for part in parts]
    counts = ("rows", "duplicates", "reordered", "unusable", "inferred_losses")
    found = Found(
        **{name: sum(getattr(part.found, name) for part in parts) for name in counts},
        truncated=any(part.found.truncated for part in parts),
    )
    return replace(
        parts[0],
        source=" ".join(part.source for part in parts),
        times_s=times_s,
        values=values,
        losses_known=losses_known,
        clock_bound_ms=None if None in bounds else max(bound for bound in bounds if bound is not None),
        found=found,
        remarks=tuple(remarks),
    )
