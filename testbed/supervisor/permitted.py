"""Which telemetry a member may report: what the channel and the twin say is theirs alone to say.

Everything that reads these records relies on how they are made, and what the channel reports is the truth
that the twin is judged by; a node tells of its own clock only. A node or a guest reports whatever it likes
under any other name.
"""

from __future__ import annotations

from typing import Final

from nodes.wire import Record

#: measurement -> roles that may report it
OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "link": ("channel",),
    "plant_link": ("channel",),
    "channel": ("channel",),
    "handover": ("channel",),
    "plant_event": (),  # the supervisor's own
    "prediction": ("twin",),
    "residual": ("twin",),
    "belief": ("twin",),
    "detection": ("twin",),
    "recovery": ("twin",),
    "estimate": ("twin",),
    "action": ("twin",),
    "sync": ("twin",),
    "outlook": ("twin",),
    "fidelity": ("twin",),
    "twin": ("twin",),
    "hierarchy": ("twin",),
    "edge": (),  # what edge twins said, as the supervisor writes it down
}
#: measurements that a node reports of itself only
OWN: Final = frozenset({"clock"})


def permitted(reporter: str, records: list[Record]) -> tuple[list[Record], set[str]]:
    """The records that the member of that id may report, and the names of those it may not."""
    refused = {
        r.measurement
        for r in records
        if reporter not in OWNERS.get(r.measurement, (reporter,))
        or (r.measurement in OWN and r.tags.get("node") != reporter)
    }
    return [record for record in records if record.measurement not in refused], refused
