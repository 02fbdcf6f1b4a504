"""Servers in virtual time: messages that are tasks wait for a core, are worked on, and are then answered.

First come, first served: `cores` tasks at a time, each at the server's whole rate, a bounded queue, and what
finds it full is refused. What a user states and the kernels stand side by side. A task's work is a function
of its flow and its number alone, and no packet is seen here: `carry` says when a message is complete, and
sends the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from emulator.jit import inline_packet_kernel
from emulator.links.random import uniform
from emulator.links.state import NEVER
from emulator.traffic.errors import TrafficError
from emulator.traffic.layout import FREE_TASK, RUNNING, SERVED_TASKS, SERVER, UNWATCHED, Traffic

#: purpose of the draw
_CYCLES: Final = 121
_MOST_CORES: Final = 1024
_MOST_WAITING: Final = 1_000_000
_MOST_CYCLES: Final = 1e18
#: slowest and fastest, as a multiple of the nominal rate
SPEEDS: Final = (1e-3, 1e3)


@dataclass(frozen=True)
class Server:
    """A server at a port: `rate_hz` cycles per second on each of `cores`; `queue_tasks` may wait."""

    name: str
    port: int
    rate_hz: float
    cores: int = 1
    queue_tasks: int = 64

    def check(self) -> None:
        """TrafficError for a server that cannot be."""
        where = f"server {self.name!r}: "
        if not 0 < self.port < 1 << 31:
            raise TrafficError(f"{where}port is {self.port!r}, allowed: the number of a port, from 1")
        if not 1.0 <= self.rate_hz <= _MOST_CYCLES:
            raise TrafficError(f"{where}rate_hz is {self.rate_hz!r}, allowed: 1 to {_MOST_CYCLES:g}")
        if not 1 <= self.cores <= _MOST_CORES:
            raise TrafficError(f"{where}cores is {self.cores!r}, allowed: 1 to {_MOST_CORES}")
        if not 0 <= self.queue_tasks <= _MOST_WAITING:
            raise TrafficError(f"{where}queue_tasks is {self.queue_tasks!r}, allowed: 0 to {_MOST_WAITING}")

    def write(self, row: Any) -> None:
        """Into a SERVER row."""
        row["rate_hz"], row["speed"] = self.rate_hz, 1.0
        row["cores"], row["queue_tasks"] = self.cores, self.queue_tasks
        row["head"] = row["tail"] = -1


@dataclass(frozen=True)
class Work:
    """What a message asks of a server: so many cycles, drawn evenly from a range."""

    server: str
    low_cycles: float
    high_cycles: float

    def check(self, where: str) -> None:
        """TrafficError for work that cannot be."""
        if not 1.0 <= self.low_cycles <= self.high_cycles <= _MOST_CYCLES:
            raise TrafficError(
                f"{where}cycles are {self.low_cycles!r} to {self.high_cycles!r}, "
                f"allowed: 1 to {_MOST_CYCLES:g}, the lower first"
            )


@dataclass(frozen=True)
class ServerResult:
    """What became of the tasks of one server. Every complete message was one, or was refused."""

    name: str
    duration_s: float
    cores: int
    #: tasks finished, being worked on, waiting; and messages that found no room
    done: int
    running: int
    waiting: int
    refused: int
    #: of the tasks done
    cycles: float
    #: time that cores have worked, all together
    busy_s: float
    #: of the tasks that have begun; not a number before the first
    wait_mean_s: float
    wait_max_s: float

    @property
    def utilisation(self) -> float:
        """Share of their time that the cores worked."""
        return self.busy_s / (self.duration_s * self.cores) if self.duration_s > 0 else float("nan")


def server_rows(servers: tuple[Server, ...]) -> np.ndarray[Any, Any]:
    """The servers as kernels read them."""
    rows = np.zeros(len(servers), SERVER)
    for row, server in zip(rows, servers, strict=True):
        server.write(row)
    return rows


def server_results(
    servers: tuple[Server, ...], traffic: Traffic, duration_s: float, now_ns: int
) -> dict[str, ServerResult]:
    """What became of the tasks of every server up to `now_ns`, by name."""
    rows = np.asarray(traffic.servers)
    running = np.asarray(traffic.tasks)[traffic.task_slot[: int(traffic.state[RUNNING])]]
    found = {}
    for index, server in enumerate(servers):
        row, mine = rows[index], running[running["server"] == index]
        begun = int(row["begun"])
        busy_ns = int(row["busy_ns"]) + int((now_ns - mine["begun_ns"]).sum())
        found[server.name] = ServerResult(
            name=server.name,
            duration_s=duration_s,
            cores=server.cores,
            done=int(row["done"]),
            running=int(row["running"]),
            waiting=int(row["waiting"]),
            refused=int(row["refused"]),
            cycles=float(row["cycles"]),
            busy_s=busy_ns * 1e-9,
            wait_mean_s=int(row["waited_ns"]) * 1e-9 / begun if begun else float("nan"),
            wait_max_s=int(row["longest_ns"]) * 1e-9 if begun else float("nan"),
        )
    return found


def set_speed(traffic: Traffic, index: int, factor: float, now_ns: int) -> None:
    """From `now_ns` on a server works at a multiple of its nominal rate, at what it has begun too."""
    if isinstance(factor, bool) or not SPEEDS[0] <= factor <= SPEEDS[1]:
        raise TrafficError(f"speed is {factor!r}, allowed: {SPEEDS[0]:g} to {SPEEDS[1]:g}")
    server, tasks = np.asarray(traffic.servers)[index], np.asarray(traffic.tasks)
    count = int(traffic.state[RUNNING])
    before_hz, after_hz = (float(server["rate_hz"]) * float(f) for f in (server["speed"], factor))
    for slot in traffic.task_slot[:count].tolist():
        task = tasks[slot]
        if task["server"] == index:
            worked = (now_ns - int(task["since_ns"])) * 1e-9 * before_hz
            task["left"] = max(0.0, float(task["left"]) - worked)
            task["since_ns"] = now_ns
            task["finish_ns"] = now_ns + math.ceil(float(task["left"]) / after_hz * 1e9)
    server["speed"] = factor
    # A sorted list is a heap.
    slots = traffic.task_slot[:count]
    order = np.lexsort((slots, tasks["finish_ns"][slots]))
    traffic.task_slot[:count] = slots[order]
    traffic.task_ns[:count] = tasks["finish_ns"][traffic.task_slot[:count]]


# --- kernels --------------------------------------------------------------------------------------


@inline_packet_kernel
def task_ns(traffic: Any) -> int:
    """When the next task is done, ns; NEVER if none is worked on."""
    return traffic.task_ns[0] if traffic.state[RUNNING] > 0 else NEVER


@inline_packet_kernel
def _begin(traffic: Any, slot: int, now_ns: int) -> None:
    """A core takes up a task."""
    task = traffic.tasks[slot]
    server = traffic.servers[task.server]
    task.begun_ns = now_ns
    task.since_ns = now_ns
    task.left = task.cycles
    finish_ns = now_ns + math.ceil(task.cycles / (server.rate_hz * server.speed) * 1e9)
    task.finish_ns = finish_ns
    server.running += 1
    server.begun += 1
    server.waited_ns += now_ns - task.arrived_ns
    server.longest_ns = max(server.longest_ns, now_ns - task.arrived_ns)
    times, slots = traffic.task_ns, traffic.task_slot
    here = traffic.state[RUNNING]
    traffic.state[RUNNING] = here + 1
    while here > 0:
        above = (here - 1) >> 1
        if times[above] < finish_ns or (times[above] == finish_ns and slots[above] < slot):
            break
        times[here] = times[above]
        slots[here] = slots[above]
        here = above
    times[here] = finish_ns
    slots[here] = slot


@inline_packet_kernel
def offer(traffic: Any, row: int, message: int, message_ns: int, last_bytes: int, now_ns: int) -> None:
    """A message has arrived whole that flow `row` is to answer: its server takes it as a task, or refuses it.

    `message_ns`: when it began to be sent; `last_bytes`: length of its last packet.
    """
    flow = traffic.flows[row]
    server = traffic.servers[flow.server]
    slot = traffic.state[FREE_TASK]
    if slot < 0 or (server.running >= server.cores and server.waiting >= server.queue_tasks):
        server.refused += 1
    else:
        task = traffic.tasks[slot]
        traffic.state[FREE_TASK] = task.next
        span = flow.cycles_high - flow.cycles_low
        task.cycles = flow.cycles_low + uniform(flow.key, 0, message, _CYCLES) * span
        task.arrived_ns = now_ns
        task.message = message
        task.message_ns = message_ns
        task.last_bytes = last_bytes
        task.row = row
        task.server = flow.server
        task.next = -1
        if server.running < server.cores:
            _begin(traffic, slot, now_ns)
        else:
            if server.waiting == 0:
                server.head = slot
            else:
                traffic.tasks[server.tail].next = slot
            server.tail = slot
            server.waiting += 1


@inline_packet_kernel
def _pop(traffic: Any) -> int:
    """Take the task that is done first out of the heap; its slot."""
    times, slots = traffic.task_ns, traffic.task_slot
    done = slots[0]
    count = traffic.state[RUNNING] - 1
    traffic.state[RUNNING] = count
    time_ns, slot = times[count], slots[count]
    here = 0
    while True:
        below = 2 * here + 1
        if below >= count:
            break
        other = below + 1
        if other < count and (
            times[other] < times[below] or (times[other] == times[below] and slots[other] < slots[below])
        ):
            below = other
        if time_ns < times[below] or (time_ns == times[below] and slot < slots[below]):
            break
        times[here] = times[below]
        slots[here] = slots[below]
        here = below
    times[here] = time_ns
    slots[here] = slot
    return int(done)


@inline_packet_kernel
def finish_task(traffic: Any) -> int:
    """The task that is done first leaves, and the next one begins; its slot, whose content is still there."""
    slot = _pop(traffic)
    task = traffic.tasks[slot]
    server = traffic.servers[task.server]
    server.running -= 1
    server.done += 1
    server.cycles += task.cycles
    server.busy_ns += task.finish_ns - task.begun_ns
    if server.waiting > 0:
        following = server.head
        server.head = traffic.tasks[following].next
        server.waiting -= 1
        _begin(traffic, following, task.finish_ns)
    if traffic.state[UNWATCHED] == 0:
        served = traffic.served[traffic.state[SERVED_TASKS]]
        served.arrived_ns = task.arrived_ns
        served.begun_ns = task.begun_ns
        served.done_ns = task.finish_ns
        served.cycles = task.cycles
        served.message = task.message
        served.server = task.server
        served.flow = task.row
        served.client = traffic.flows[task.row].target
        served.waiting = server.waiting
        traffic.state[SERVED_TASKS] += 1
    task.next = traffic.state[FREE_TASK]
    traffic.state[FREE_TASK] = slot
    return int(slot)
