"""The twin's process: joins the supervisor's control socket, keeps the windows, sends what the twin says.

It reads one file (the public knowledge) and one socket; nothing else. All of the thinking is in `core`,
which never sees a clock: here are the deadlines. A window is closed when its reports have had `grace` to
arrive; should they come later than that, the grace grows.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from nodes import wire
from nodes.processes import die_with_parent
from testbed.errors import BadInput, EnvironmentProblem
from testbed.twin import knowledge
from testbed.twin.act.acting import Acting, beside
from testbed.twin.act.engine import Said
from testbed.twin.act.memory import Memory
from testbed.twin.core import Twin
from testbed.twin.edge import MEMBER, EdgeOptions, EdgeTwin, Line, owner_of, partition
from testbed.twin.freeze import SnapshotError
from testbed.twin.hierarchy import Centre, Uplink
from testbed.twin.horizon import Horizon
from testbed.twin.outlook import EVERY_S as OUTLOOK_S
from testbed.twin.outlook import Outlook
from testbed.twin.oversight import Listening, Oversight

#: without a word from the supervisor for so long, the run is over, s
SILENCE_S = 10.0
_FIRST_GRACE_S = 0.15
_LONGEST_GRACE_S = 2.0
#: what is left of a longer grace after a window whose reports came in time
_SHORTER = 0.97
#: time that records of the same batch may lie apart on the socket, s
_SETTLE_S = 0.03
_BELIEF_S = 1.0
#: the long forecast is worked on when nothing else is due for so long, so many epochs at a time
_IDLE_NS = 50_000_000
_LOOKS = 8
#: what is known is handed to the supervisor so often, and takes at most this share of the time
_SNAPSHOT_S, _SNAPSHOT_SHARE = 3.0, 0.01
_NEVER_NS = 2**63

log = logging.getLogger("twin")


class Clock:
    """The host's monotonic clock."""

    #: it goes on whatever the twin is busy with
    goes_on = True

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def told(self, t_ns: int) -> None:
        """What the supervisor's clock says: nothing new, on one host."""


class ToldClock(Clock):
    """The clock of a run that goes faster or slower than time: it is what the supervisor last said."""

    goes_on = False

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def told(self, t_ns: int) -> None:
        self._now_ns = max(self._now_ns, t_ns)


class Windows:
    """Which window is to be predicted or closed next, and when. Pure: told the time, in ns."""

    def __init__(self, start_ns: int, window_ns: int, first: int = 0) -> None:
        self.start_ns = start_ns
        self.window_ns = window_ns
        self.next = first
        self.grace_s = _FIRST_GRACE_S
        self._late = 0

    def due_ns(self, reports: int, settled_ns: int) -> int:
        """When the next window is to be closed: shortly after its reports came, or after the grace."""
        ends = self.start_ns + (self.next + 1) * self.window_ns
        latest = ends + int(self.grace_s * 1e9)
        if reports:
            return min(max(ends, settled_ns + int(_SETTLE_S * 1e9)), latest)
        return latest

    def closed(self, reports: int) -> None:
        """The next window is closed, with so many reports: the one after it is next."""
        self.next += 1
        if reports:
            self.grace_s = max(_SHORTER * self.grace_s, _FIRST_GRACE_S)

    def present(self, now_ns: int) -> int:
        """The window that goes on now."""
        return max((now_ns - self.start_ns) // self.window_ns, 0)

    def noticed_late(self, late: int) -> None:
        """Reports that came after their window was closed, in total so far."""
        if late > self._late:
            self._late = late
            self.grace_s = min(self.grace_s * 1.5, _LONGEST_GRACE_S)


class Controller:
    """One run of the twin's process against a supervisor."""

    def __init__(
        self, endpoint: str, twin: Twin, node_id: str = "twin", outlook: Outlook | None = None,
        line: Line | None = None, clock: Clock | None = None, acting: Acting | None = None,
        listening: Listening | None = None,
    ) -> None:  # fmt: skip
        self._twin = twin
        self._acting = acting
        self._outlook = outlook
        self._outlook_s = 0.0
        self._id = node_id
        #: towards a central twin, of an edge
        self._line = line
        #: towards edges, of a central twin
        self._listening = listening
        self._clock = clock or Clock()
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.setsockopt(zmq.IDENTITY, node_id.encode())
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise BadInput(f"--connect {endpoint}: not an endpoint ({error.strerror})") from None
        self._windows: Windows | None = None
        self._stopping = False
        self._heard_ns = time.monotonic_ns()
        self._settled_ns = 0
        self._heartbeat_s = 1.0
        self._sent = self._received = 0
        self._kept = b""  # what an earlier process of this twin knew
        self._snapshot_ns = 0

    # --- life ---------------------------------------------------------------------------------

    def run(self, wait_s: float = 20.0) -> int:
        """Registers, works until stopped; the exit status. EnvironmentProblem when nobody answers."""
        try:
            self._register(wait_s)
            return self._work()
        finally:
            self._socket.close()
            if self._line is not None:
                self._line.close()
            if self._listening is not None:
                self._listening.close()
            if self._acting is not None:
                self._acting.close()
            self._context.term()

    def _register(self, wait_s: float) -> None:
        self._send(wire.Register(self._id, "twin", os.getpid()))
        deadline = time.monotonic() + wait_s
        while (left := deadline - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1000) + 1):
                break
            message = wire.decode(self._socket.recv())
            if isinstance(message, wire.Refused):
                raise BadInput(f"the supervisor refused {self._id}: {message.reason}")
            if isinstance(message, wire.Registered):
                self._heartbeat_s = message.heartbeat_s
                self._heard_ns = time.monotonic_ns()
                self._send(wire.Ready())
                return
        raise EnvironmentProblem("nobody answered on the control endpoint: is the testbed running?")

    def _work(self) -> int:
        beat_ns = self._clock.now_ns()
        belief_ns = 0
        while not self._stopping:
            now = self._clock.now_ns()
            if time.monotonic_ns() - self._heard_ns > SILENCE_S * 1e9:
                log.error("the supervisor has been silent for %.0f s", SILENCE_S)
                return 3
            if now >= beat_ns:
                self._send(wire.Heartbeat(now, self._sent, self._received))
                beat_ns = now + int(self._heartbeat_s * 1e9)
            windows = self._windows
            wake = beat_ns
            if windows is not None:
                due = windows.due_ns(self._twin.holds(windows.next), self._settled_ns)
                if now >= due:
                    # What came while the twin was busy is no silence: it is read before it is missed.
                    if not (self._socket.poll(0) and self._receive() and self._waits()):
                        self._close()
                    continue
                wake = min(wake, due)
                if belief_ns == 0:
                    belief_ns = windows.start_ns + int(_BELIEF_S * 1e9)
                if now >= belief_ns:
                    self._publish(self._twin.beliefs(now))
                    belief_ns += int(_BELIEF_S * 1e9)
            busy = wake - now > _IDLE_NS and self._look_ahead(now)
            if self._socket.poll(0 if busy else max((wake - now) // 1_000_000, 0) + 1):
                self._receive()
        self._finish()
        return 0

    def _waits(self) -> bool:
        """Whether, by what has come by now, the next window is not to be closed yet."""
        windows = self._windows
        assert windows is not None
        due = windows.due_ns(self._twin.holds(windows.next), self._settled_ns)
        return self._stopping or self._clock.now_ns() < due

    def _look_ahead(self, now: int) -> bool:
        """Uses time in which nothing else is due for the long forecast; whether there is more of it to do."""
        if self._outlook is None or self._windows is None or now < self._windows.start_ns:
            return False
        now_s = (now - self._windows.start_ns) / 1e9
        known = self._outlook.horizon.advance(now_s, _LOOKS)
        if now_s >= self._outlook_s and (known or self._outlook_s > 0.0):
            self._publish(self._outlook.records(self._twin, now, now_s))
            self._outlook_s = now_s + OUTLOOK_S
        return not known

    def stop(self) -> None:
        """Ends the loop soon (signal handler)."""
        self._stopping = True

    def _finish(self) -> None:
        windows = self._windows
        if windows is not None and self._twin.holds(windows.next):
            self._close()
        if self._listening is not None and windows is not None:
            self._listening.hear()
            now = self._clock.now_ns()
            t_s = (now - windows.start_ns) / 1e9
            self._publish(self._listening.oversight.standing(self._twin.table, now, t_s))
        counters = {"sent": self._sent, "received": self._received, **self._twin.counters}
        if self._line is not None:
            counters |= self._line.counters()
        self._send(wire.Bye(counters))

    # --- messages -----------------------------------------------------------------------------

    def _send(self, message: wire.Message) -> None:
        self._socket.send(wire.encode(message))

    def _publish(self, records: list[wire.Record]) -> None:
        if records:
            self._sent += len(records)
            self._send(wire.Telemetry(records))

    def _receive(self) -> bool:
        """Everything that waits on the socket; whether there was anything."""
        messages = 0
        while True:
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            messages += 1
            self._heard_ns = time.monotonic_ns()
            try:
                self._take(wire.decode(data))
            except wire.WireError as error:
                log.warning("%s", error)
                self._twin.counters["malformed"] += 1
        if self._windows is not None:
            self._windows.noticed_late(self._twin.counters["late"])
        return messages > 0

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Telemetry):
            self._received += len(message.records)
            if any(record.measurement == "link" for record in message.records):
                # nodes send theirs all the time, and their records belong to whatever window is closed next
                self._settled_ns = self._clock.now_ns()
            self._twin.take(message.records)
            if self._acting is not None:
                self._acting.take(message.records)
        elif isinstance(message, wire.CommandResult):
            if self._acting is not None:
                self._acting.answer(message)
        elif isinstance(message, wire.Heartbeat):
            self._clock.told(message.t_ns)
        elif isinstance(message, wire.Snapshot):
            self._kept = message.data
        elif isinstance(message, wire.Start):
            self._start(message.t0_ns)
        elif isinstance(message, wire.Quiesce):
            self._twin.quiet = True
        elif isinstance(message, wire.Stop):
            self._stopping = True
        elif isinstance(message, wire.Command):
            self._send(self._obey(message))

    def _obey(self, command: wire.Command) -> wire.CommandResult:
        """`states`: what is believed, as JSON rows, by patterns `target`, `name` and `since_version`."""
        if command.name != "states":
            return wire.CommandResult(command.number, False, f"the twin knows no command {command.name}")
        allowed = {"target": str, "name": str, "since_version": int}
        for key, value in command.arguments.items():
            if not isinstance(value, allowed.get(key, ())):
                text = f"states: {key} is {value!r}, allowed are target, name (text), since_version (number)"
                return wire.CommandResult(command.number, False, text)
        found = self._twin.table.query(**command.arguments)  # type: ignore[arg-type]
        rows = [entry._asdict() | {"t_s": max(entry.t_s, -1.0)} for entry in found]
        return wire.CommandResult(command.number, True, msgspec.json.encode(rows).decode())

    def _start(self, t0_ns: int) -> None:
        """Begins with the window that goes on now: the first, or a later one when another twin began.

        What came before is taken from that twin's snapshot; without one that fits, the twin starts afresh.
        """
        twin, now = self._twin, self._clock.now_ns()
        window_ns = round(twin.window_s * 1e9)
        current = max((now - t0_ns) // window_ns, 0)
        closed, said = -1, []
        twin.begin(t0_ns)
        if self._acting is not None:
            self._acting.begin(t0_ns)
        asked: list[Said] = []
        late = current > 0
        if late and self._listening is not None:
            self._listening.oversight.began_late()
        if self._kept:
            event, text = "resumed", ""
            memory = Memory()
            try:
                closed = twin.restore(self._kept, memory)
                late = False
                if self._acting is not None:
                    asked = self._acting.resume(memory, now)
            except SnapshotError as error:
                event, text = "began afresh", str(error)
                log.warning("began afresh: %s", error)
            missed = max(current - closed - 1, 0)
            fields: dict[str, wire.Value] = {"window": current, "windows_missed": missed, "text": text}
            said.append(wire.Record(now, "twin", {"event": event}, fields))
            self._kept = b""
        if late and self._acting is not None:
            asked = self._acting.afresh()
        self._foresee(now, t0_ns)
        self._windows = Windows(t0_ns, window_ns, max(current, closed + 1))
        if closed < 0 or current > closed + 1:
            twin.miss(current)
            said += twin.predict(current)
        self._publish(said)
        self._ask(asked)

    def _keep(self, at_once: bool = False) -> None:
        """Hands what is known to the supervisor, now and then: for another process to go on with."""
        began = time.monotonic_ns()
        if began < self._snapshot_ns and not (at_once and self._snapshot_ns < _NEVER_NS):
            return
        gc.disable()  # everything that is written down lives on: collections meanwhile would only cost time
        try:
            memory = None if self._acting is None else self._acting.memory(self._clock.now_ns())
            data = self._twin.snapshot(memory)
        except SnapshotError as error:
            log.error("what is known cannot be kept: %s", error)
            self._snapshot_ns = _NEVER_NS
            return
        finally:
            gc.enable()
        self._send(wire.Snapshot(began, data))
        cost_s = (time.monotonic_ns() - began) / 1e9
        self._snapshot_ns = began + int(max(_SNAPSHOT_S, cost_s / _SNAPSHOT_SHARE) * 1e9)

    def _close(self) -> None:
        """Closes the next window and predicts the one after: in this order, before its reports are read."""
        windows = self._windows
        assert windows is not None
        now, reports = self._clock.now_ns(), self._twin.holds(windows.next)
        records = self._twin.close(windows.next, now)
        if self._line is not None:
            t_s = (now - windows.start_ns) / 1e9
            self._line.closed(self._twin.table, windows.next, t_s, records)
        if self._listening is not None:
            self._listening.hear()
            t_s = (now - windows.start_ns) / 1e9
            records += self._listening.oversight.step(self._twin.table, now, t_s)
        windows.closed(reports)
        if not self._stopping:
            self._skip(windows)
            records += self._twin.predict(windows.next)
        self._publish(records)
        if not self._stopping:
            self._act()
            self._keep()

    def _skip(self, windows: Windows) -> None:
        """Leaves out windows whose reports are here before they were predicted: the twin was held up.

        Predictions after the fact would be none. What waited is not lost to what is counted by time of its
        own (tasks, flows, nodes).
        """
        if not self._clock.goes_on or windows.present(self._clock.now_ns()) <= windows.next:
            return
        self._receive()
        if self._twin.holds(windows.next):
            windows.next = windows.present(self._clock.now_ns())
            self._twin.miss(windows.next)

    def _act(self) -> None:
        """What is to be done about what the window said: told, and asked for."""
        if self._acting is None:
            return
        now = self._clock.now_ns()
        self._ask(self._acting.step(now))
        if self._windows is not None:
            self._foresee(now, self._windows.start_ns)

    def _foresee(self, now_ns: int, start_ns: int) -> None:
        """The long forecast is told what the network was ordered."""
        if self._outlook is not None and self._acting is not None:
            now_s = (now_ns - start_ns) / 1e9
            self._outlook.horizon.obey(self._acting.engine.plan.orders(), now_s)

    def _ask(self, said: list[Said]) -> None:
        """Publishes what is said of actions, and makes their requests.

        That they are made is known to the supervisor first, so that no order can outlive the twin unknown.
        """
        self._publish([one for one in said if isinstance(one, wire.Record)])
        requests = [one for one in said if isinstance(one, wire.Request)]
        if requests:
            self._keep(at_once=True)
        for request in requests:
            self._send(request)


def run_twin(
    endpoint: str, public: Path, node_id: str = "twin", announce: Callable[[str], None] = log.info,
    edge: EdgeOptions | None = None, clock: Clock | None = None, over: str | None = None,
    edges: int | None = None,
) -> int:  # fmt: skip
    """Runs the twin on public knowledge, of a part of the network if `edge`; its exit status.

    `over`: endpoint on which the twin hears `edges` edges (None: one for every gateway).
    """
    die_with_parent()
    known = knowledge.load(public)
    began = time.monotonic()
    try:
        twin = Twin(known) if edge is None else EdgeTwin(known, edge.scope(known, node_id))
        twin.rehearse()
        # half an hour ahead is the business of whoever sees the whole network
        outlook = Outlook(known.world, Horizon(known.world), known.window_s) if edge is None else None
    except ValueError as error:
        raise BadInput(f"{public}: world: {error}") from None
    # What set-up leaves stays for the run: looking through it for garbage would hold up windows.
    gc.freeze()
    announce(f"nominal network ready after {time.monotonic() - began:.2f} s")
    line = (
        None
        if edge is None
        else Line(
            zmq.Context.instance(), edge.centre, Uplink(node_id.removeprefix(MEMBER), time.monotonic_ns())
        )
    )
    acting = beside(twin, known) if edge is None else None
    listening = None
    if over is not None:
        centre = Centre(time.monotonic_ns(), owner_of(partition(known, edges)))
        listening = Listening(zmq.Context.instance(), over, Oversight(centre))
    # What lives as long as the process is not looked at again by the collector, for which all would wait.
    gc.collect()
    gc.freeze()
    controller = Controller(endpoint, twin, node_id, outlook, line, clock, acting, listening)
    signal.signal(signal.SIGTERM, lambda *_: controller.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when a run ends
    return controller.run()
