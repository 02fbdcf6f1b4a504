"""What traffic is in memory: flows with where they stand, the agenda, and what is counted of each flow.

Layouts only. `Traffic` belongs to one network: its `tags` say of every packet slot whose packet is in it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import FATES
from emulator.jit import records
from emulator.links.state import NEVER

# how the messages of a flow come (`kind`)
PERIODIC: Final = 0
POISSON: Final = 1
ON_OFF: Final = 2
RECORDED: Final = 3
FOLLOWING: Final = 4  # when a packet of another flow has arrived

# how long packets are (`size_kind`)
FIXED: Final = 0
UNIFORM: Final = 1
EMPIRICAL: Final = 2
EACH: Final = 3  # recorded with its time
SAME: Final = 4  # as long as the packet that it follows

FLOW: Final = np.dtype(
    [
        ("key", "<u8"),  # identity for random draws
        ("word0", "<i8"),  # words of the header, what never changes of them
        ("word1", "<i8"),
        ("word5", "<i8"),
        ("start_ns", "<i8"),
        ("end_ns", "<i8"),  # no message begins at it or later
        # messages
        ("period_ns", "<f8"),  # between messages (their mean), or while an on/off flow is on
        ("jitter_ns", "<f8"),
        ("on_ns", "<f8"),  # means of the sojourns
        ("off_ns", "<f8"),
        ("tail", "<f8"),  # shape of the Pareto distribution
        ("spacing_ns", "<i8"),  # between packets of one message
        ("first", "<i8"),  # recorded: index of the first of `count` times
        ("count", "<i8"),
        ("port", "<u4"),
        ("target", "<u4"),
        ("kind", "<i4"),
        ("packets", "<i4"),  # of a message
        # sizes, bytes
        ("size_kind", "<i4"),
        ("size_low", "<i4"),  # of a fixed size, or the index of the first of a table
        ("size_high", "<i4"),  # or the length of the table
        ("size_last", "<i4"),  # of the last packet of a message, 0: as the others
        # work that a server does before this flow, which follows a whole message, is sent
        ("server", "<i4"),  # -1: none
        ("cycles_low", "<f8"),
        ("cycles_high", "<f8"),
        # what follows when a packet of this flow has arrived
        ("follower", "<i4"),  # first flow that follows this one, -1: none
        ("sibling", "<i4"),  # next flow that follows the same one
        ("every", "<i4"),  # follows every so-manieth packet of a message, and its last
        ("whole", "u1"),  # follows a whole message, not each packet
        ("traffic_class", "u1"),
        ("ttl", "u1"),
        ("_pad", "u1"),
        # where the flow stands
        ("packet", "<i4"),  # of the message, the next one
        ("message", "<i8"),  # number of the present one
        ("begun_ns", "<i8"),  # when the present message began
        ("sojourn", "<i8"),  # number of the present sojourn of an on/off flow
        ("until_ns", "<f8"),  # its end, since start_ns
        ("at_ns", "<f8"),  # last message of a process without memory, since start_ns
        ("made", "<i8"),  # packets so far
        ("gathered", "<i8"),  # number of the newest message of which something arrived
        ("gathered_packets", "<i8"),  # and how much of it
    ],
    align=True,
)

#: whose packet is in a slot
TAG: Final = np.dtype(
    [
        ("sent_ns", "<i8"),  # by the first of the flows that it follows
        ("begun_ns", "<i8"),  # its message, likewise
        ("message", "<i8"),
        ("row", "<i4"),  # of the tally
        ("flow", "<i4"),  # -1: recorded arrivals
        ("packet", "<i4"),
        ("window", "<i4"),
    ],
    align=True,
)

#: what is counted of a flow
TALLY: Final = np.dtype(
    [
        ("sent", "<i8"),
        ("sent_bytes", "<i8"),
        ("copied", "<i8"),
        ("delivered", "<i8"),
        ("delivered_bytes", "<i8"),
        ("delay_sum_ns", "<i8"),
        ("delay_squares", "<f8"),  # ns^2
        ("delay_min_ns", "<i8"),
        ("delay_max_ns", "<i8"),
        # age of information: its integral over time, from the first delivery on
        ("newest_ns", "<i8"),  # when the newest one delivered was sent
        ("aged_ns", "<i8"),  # up to when it is integrated
        ("first_ns", "<i8"),
        ("age_squares", "<f8"),  # twice the integral, ns^2
        ("age_max_ns", "<i8"),
    ],
    align=True,
)

#: one flow in one window, which is that in which the packets were sent
WINDOW: Final = np.dtype(
    [
        ("sent", "<i4"),
        ("delivered", "<i4"),
        ("dropped", "<i4"),
        ("_pad", "<i4"),
        ("delivered_bytes", "<i8"),
        ("delay_sum_ns", "<i8"),
        ("delay_max_ns", "<i8"),
    ]
)

#: one packet of a flow at its end
SAMPLE: Final = np.dtype(
    [("sent_ns", "<i8"), ("delay_ns", "<i8"), ("row", "<i4"), ("fate", "<i4")]
)  # no delay: -1

#: a server, and where it stands
SERVER: Final = np.dtype(
    [
        ("rate_hz", "<f8"),  # nominal
        ("speed", "<f8"),  # of it, at present
        ("cores", "<i4"),
        ("queue_tasks", "<i4"),  # that wait at most
        ("running", "<i4"),
        ("waiting", "<i4"),
        ("head", "<i4"),  # slots of the first and last task that wait
        ("tail", "<i4"),
        ("begun", "<i8"),  # tasks so far; so too the next two
        ("done", "<i8"),
        ("refused", "<i8"),
        ("cycles", "<f8"),  # of the tasks done
        ("busy_ns", "<i8"),  # spent on the tasks done
        ("waited_ns", "<i8"),  # by the tasks begun, all together
        ("longest_ns", "<i8"),  # that any of them waited
    ],
    align=True,
)

#: a task that waits or is worked on
TASK: Final = np.dtype(
    [
        ("cycles", "<f8"),
        ("left", "<f8"),  # of them, at since_ns
        ("since_ns", "<i8"),
        ("arrived_ns", "<i8"),
        ("begun_ns", "<i8"),
        ("finish_ns", "<i8"),
        ("message", "<i8"),  # number and beginning of the message that brought it
        ("message_ns", "<i8"),
        ("row", "<i4"),  # of the flow that answers
        ("server", "<i4"),
        ("next", "<i4"),  # in a queue, or in the free list
        ("last_bytes", "<i4"),
    ],
    align=True,
)

#: a finished task
SERVED: Final = np.dtype(
    [
        ("arrived_ns", "<i8"),
        ("begun_ns", "<i8"),
        ("done_ns", "<i8"),
        ("cycles", "<f8"),
        ("message", "<i8"),
        ("server", "<i4"),  # index
        ("flow", "<i4"),  # row of the answer
        ("client", "<u4"),  # port that it goes to
        ("waiting", "<i4"),  # tasks that wait after it
    ],
    align=True,
)

# words of `state`
AGENDA: Final = 0  # flows with a packet to come
CHAINED: Final = 1  # whether any flow follows another
WINDOW_NS: Final = 2  # 0: no windows
ORIGIN: Final = 3  # where the first window begins, ns
SAMPLES: Final = 4  # written
UNSAMPLED: Final = 5  # found no room
HELD: Final = 6  # stopped early: the log is to be read
RUNNING: Final = 7  # tasks that are worked on
FREE_TASK: Final = 8  # first free slot of tasks, -1: none
SERVED_TASKS: Final = 9  # finished tasks written
UNWATCHED: Final = 10  # not zero: finished tasks are not written
_STATE_WORDS: Final = 16
#: finished tasks written before they have to be read
SERVED_ROOM: Final = 1024

#: sixteen buckets an octave, the first sixteen 1 ns wide, up to 2^44 ns (five hours)
OCTAVE: Final = 16
BUCKETS: Final = OCTAVE * (44 - 3)


class Traffic(NamedTuple):
    """The flows of one simulation and what is counted of them; all mutable state is in here."""

    flows: Any  # FLOW [flows]
    agenda_ns: Any  # int64 [flows]: a heap of what comes next
    agenda_row: Any  # int32 [flows]
    state: Any  # int64 words, see above
    times_ns: Any  # int64: of recorded flows
    lengths: Any  # int32: of recorded packets, and tables of sizes
    tags: Any  # TAG [slots]
    groups: Any  # int32 [arrivals]: row of the tally of each recorded arrival
    tally: Any  # TALLY [rows + 1]: flows, then groups of recorded arrivals, then nobody
    fates: Any  # int64 [rows + 1, FATES]
    delays: Any  # int32 [rows + 1, BUCKETS]
    windows: Any  # WINDOW [rows + 1, windows]
    samples: Any  # SAMPLE [room + 1]
    servers: Any  # SERVER [servers]
    tasks: Any  # TASK [tasks that all servers hold at most]
    task_ns: Any  # int64 [tasks]: a heap of when those that are worked on are done
    task_slot: Any  # int32 [tasks]
    served: Any  # SERVED [SERVED_ROOM + cores of all servers]


def make_traffic(
    flows: np.ndarray[Any, Any],
    times_ns: np.ndarray[Any, Any],
    lengths: np.ndarray[Any, Any],
    *,
    slots: int,
    groups: np.ndarray[Any, Any] | None = None,
    rows: int | None = None,
    window_ns: int = 0,
    windows: int = 0,
    origin_ns: int = 0,
    samples: int = 0,
    servers: np.ndarray[Any, Any] | None = None,
) -> Traffic:
    """Traffic about to begin: `flows` as FLOW, `times_ns` and `lengths` the pools that they point into.

    `servers` as SERVER, `rows` of the tally: as many as flows, and those of `groups`. Nothing is on the
    agenda yet (`agenda.begin`).
    """
    rows = len(flows) if rows is None else rows
    # The last row is of nobody's packets: those that were in the network before.
    tally = np.zeros(rows + 1, TALLY)
    tally["delay_min_ns"] = NEVER
    tally["newest_ns"] = tally["first_ns"] = -1
    state = np.zeros(_STATE_WORDS, np.int64)
    state[CHAINED] = bool(len(flows)) and bool((flows["follower"] >= 0).any())
    state[WINDOW_NS] = window_ns if windows else 0
    state[ORIGIN] = origin_ns
    servers = np.zeros(0, SERVER) if servers is None else servers
    cores = int(servers["cores"].sum())
    held = max(1, cores + int(servers["queue_tasks"].sum()))
    tasks = np.zeros(held, TASK)
    tasks["next"] = np.arange(1, held + 1)
    tasks["next"][-1] = -1
    tags = np.zeros(slots, TAG)
    tags["row"], tags["flow"] = rows, -1
    # Kernels are compiled for arrays, not for their absence: each has a first element.
    return Traffic(
        flows=records(flows.copy() if len(flows) else np.zeros(1, FLOW)),
        agenda_ns=np.zeros(max(1, len(flows)), np.int64),
        agenda_row=np.zeros(max(1, len(flows)), np.int32),
        state=state,
        times_ns=times_ns if len(times_ns) else np.zeros(1, np.int64),
        lengths=lengths if len(lengths) else np.zeros(1, np.int32),
        tags=records(tags),
        groups=np.zeros(1, np.int32) if groups is None or not len(groups) else groups,
        tally=records(tally),
        fates=np.zeros((len(tally), FATES), np.int64),
        delays=np.zeros((len(tally), BUCKETS), np.int32),
        windows=records(np.zeros((len(tally), max(1, windows)), WINDOW)),
        samples=records(np.zeros(samples + 1, SAMPLE)),
        servers=records(servers.copy() if len(servers) else np.zeros(1, SERVER)),
        tasks=records(tasks),
        task_ns=np.zeros(held, np.int64),
        task_slot=np.zeros(held, np.int32),
        # As many may end at one moment as there are cores.
        served=records(np.zeros(SERVED_ROOM + cores, SERVED)),
    )
