"""What the twin may see: the whitelist of telemetry, field by field, and the windows it is counted in.

The supervisor passes every record through `filter_record` before it forwards it; the twin does so again
on arrival. Truth about the plant (`plant_link`, `plant_event`) has no entry here and cannot get through.
Not here: what is done with an observation.
"""

from __future__ import annotations

from typing import Final

from nodes.wire import Record

#: measurement -> fields that an operator's own instruments could have reported
OBSERVABLE: Final[dict[str, frozenset[str]]] = {
    "link": frozenset(
        {
            "window_s", "packets_in", "bytes_in", "packets_out", "bytes_out", "lost", "dropped_queue",
            "dropped_down", "busy_s", "snr_db", "range_us", "delay_mean_ms", "queue_packets",
        }
    ),
    "task": frozenset({"cycles", "service_s", "queue_s", "bytes", "queue_length"}),
    "flow": frozenset(
        {"packets", "bytes", "lost", "delay_mean_ms", "age_s", "repeated", "value_mean", "value_sd"}
    ),
    # one exchange of four stamps: t1 and t4 on the node's clock, t2 and t3 on the host's
    "clock": frozenset({"t1_ns", "t2_ns", "t3_ns", "t4_ns"}),
    "offload": frozenset({"latency_s", "cycles", "bytes", "ok", "retransmissions"}),
    "node": frozenset({"sent", "received", "cpu_s", "queue"}),
}  # fmt: skip

#: measurement -> tags that may accompany it
OBSERVABLE_TAGS: Final[dict[str, frozenset[str]]] = {
    "link": frozenset({"link", "from", "to", "kind"}),
    "task": frozenset({"node", "client"}),
    "flow": frozenset({"node", "source", "flow"}),
    "offload": frozenset({"node", "server"}),
    "node": frozenset({"node", "role"}),
    "clock": frozenset({"node"}),
}

#: measurements whose raw samples (hop delays, packet delays in ms) may pass
OBSERVABLE_SAMPLES: Final = frozenset({"link", "flow"})


def filter_record(record: Record) -> Record | None:
    """The part of a record that the twin may see, as a new record; None when nothing of it may pass."""
    allowed = OBSERVABLE.get(record.measurement)
    if allowed is None:
        return None
    fields = {name: value for name, value in record.fields.items() if name in allowed}
    if not fields:
        return None
    known = OBSERVABLE_TAGS[record.measurement]
    tags = {name: value for name, value in record.tags.items() if name in known}
    samples = record.samples if record.measurement in OBSERVABLE_SAMPLES else []
    return Record(record.t_ns, record.measurement, tags, fields, samples)


def window_index(t_ns: int, start_ns: int, window_ns: int) -> int:
    """Number of the observation window that a `link` record stamped `t_ns` reports on.

    Windows are aligned to the start of the run. A link record is stamped when its window has ended, at the
    boundary or shortly after (less than half a window); window 0 is therefore reported at start + window.
    """
    return (t_ns - start_ns + window_ns // 2) // window_ns - 1


def numbers(record: Record) -> dict[str, float]:
    """The numeric fields of a record."""
    return {
        # most are of this type already; what a union costs to build and to ask is paid for every field
        name: value if type(value) is float else float(value)
        for name, value in record.fields.items()
        if type(value) is not str
    }


def flow_name(record: Record) -> str:
    """How a flow of `flow` records is called: `source>sink`, and the flow's own name if it has one."""
    ends = f"{record.tags.get('source', '')}>{record.tags.get('node', '')}"
    return f"{ends} {record.tags.get('flow', '')}".strip()
