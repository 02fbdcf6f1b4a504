"""A microcontroller as a node: what it says becomes packets, what is sent to it goes down the line.

The role "microcontroller" of the network, played on behalf of a device at a serial port. Node life,
numbering and telemetry are `nodes`' work, the protocol is `session`'s, the port is `line`'s: here they
are joined.

An uplink packet's `Header.sent_ns` is the device's own stamp on the host's clock once the clock fit
stands (the delay of a flow then includes the serial line), and the time of reading before that. Its tag
counts what entered the network, so that frames lost on the bench cable (`lost_up`) are never booked as
losses of an emulated link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from firmware_bridge import line, messages, session
from firmware_bridge.commands import CommandEnd
from firmware_bridge.line import Line
from firmware_bridge.messages import Log, Status
from firmware_bridge.ports import Pacer, PortSettings
from firmware_bridge.session import Greeted, Heard, Incompatible, Reading, Session, Silent
from nodes import wire
from nodes.commands import intervals_of
from nodes.node import CommandError, Node
from nodes.roles.base import Role
from nodes.timers import Timer
from nodes.wire import Header, Value

ROLE: Final = "microcontroller"
#: how soon to try again on a line that takes nothing
_FULL_LINE_NS: Final = 1_000_000


class Microcontroller(Role):
    """The role of one device; `call` runs something in the node's loop, from any thread.

    Configuration: `sink` (node id; empty: readings go nowhere and are counted), `via` (relaying node),
    `reading_interval_s` and `reading_bytes` (absent: the device's own).
    """

    initiates = True

    def __init__(
        self,
        node: Node,
        settings: PortSettings,
        call: Callable[[Callable[[], None]], None],
        pace_baud: int = 0,
    ) -> None:
        super().__init__(node)
        self._sink = self.port("sink")
        self._via = self.port("via")
        config = node.config
        self._interval_ms = self._reading_bytes = -1
        if "reading_interval_s" in config:
            self._interval_ms = round(self.number("reading_interval_s", 1.0, 0.0, 86_400.0) * 1_000)
        if "reading_bytes" in config:
            self._reading_bytes = round(self.number("reading_bytes", 16, 1, messages.MAX_PAYLOAD_BYTES))
        self.session = Session()
        self._line = Line(settings, lambda: call(self._take))
        self._pacer = Pacer(pace_baud, burst_bytes=64)
        self._running = False
        self._timer: Timer | None = None
        self._outside_run = self._unsunk = self._gone = 0
        self._device_counters: dict[str, int] = {}  # what it last said of itself
        self._asked: dict[int, str] = {}  # commands under way, as they were asked for
        self._line.start()

    # --- what the node calls -------------------------------------------------------------------

    def on_start(self) -> None:
        self._running = True
        self._configure()

    def on_packet(self, header: Header, payload: bytes) -> None:
        if header.kind != wire.DATA:
            self.misdirected += 1
            return
        self.session.send_data(payload, self.node.now_ns())
        self._attend()

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        """`pace` {reading_interval_s}: kept over restarts of the device; for it as it runs: `set_interval`
        {seconds}, `set_reading_bytes` {bytes}, `reset`, `report_status`.
        """
        if name == "pace":
            (interval_s,) = intervals_of(arguments, ("reading_interval_s",)).values()
            self._interval_ms = round(interval_s * 1_000)
            number = self._command("set_interval", self._interval_ms)
            return f"reading_interval_s = {interval_s:g}, command {number} is on its way to the device"
        key, factor = {"set_interval": ("seconds", 1_000), "set_reading_bytes": ("bytes", 1)}.get(
            name, ("", 0)
        )
        value = arguments.get(key, 0) if key else 0
        if set(arguments) - {key} or (key and key not in arguments) or not _is_number(value):
            takes = f"a number {key!r}" if key else "no arguments"
            raise CommandError(f"{self.node.id}: {name} takes {takes}, got {arguments!r}")
        return f"command {self._command(name, round(value * factor))} is on its way to the device"

    def on_quiesce(self) -> None:
        self._running = False
        if self._interval_ms >= 0:
            self._order("set_interval", 0)
        self._order("report_status", 0)

    def close(self) -> None:
        self._line.close()

    def fields(self) -> dict[str, Value]:
        fit, now_ns = self.session.clock.fit, self.node.now_ns()
        fields: dict[str, Value] = dict(self._numbers())
        fields["connected"] = self.session.connected
        fields["traffic_class"] = self.node.traffic_class
        if self._interval_ms >= 0:
            fields["reading_interval_s"] = self._interval_ms / 1_000
        if fit is not None:
            fields["clock_offset_us"] = fit.offset_at(now_ns) / 1e3
            fields["clock_bound_us"] = fit.bound_at(now_ns) / 1e3
            fields["clock_skew_ppm"] = fit.skew * 1e6
        return fields

    def counters(self) -> dict[str, int]:
        return {**super().counters(), **self._numbers()}

    def _numbers(self) -> dict[str, int]:
        s, c = self.session, self.session.counters
        return {
            "frames_up": c.frames_up, "frames_down": c.frames_down,
            "bytes_up": s.bytes_up, "bytes_down": c.bytes_down,
            "damaged": s.damaged, "lost_up": c.lost_up,
            "unknown_frames": c.unknown, "foreign_frames": c.foreign,
            "resent": s.commands.resent, "dropped_down": c.dropped_down, "readings": c.readings,
            "boots": c.boots, "silences": c.silences, "port_losses": self._gone,
            "readings_outside_run": self._outside_run, "readings_without_sink": self._unsunk,
            "overrun_bytes": self._line.overrun_bytes, **self._device_counters,
        }  # fmt: skip

    # --- the device ----------------------------------------------------------------------------

    def _take(self) -> None:
        for happening in self._line.take():
            if isinstance(happening, line.Received):
                self._tell_all(self.session.receive(happening.data, happening.t_ns))
            elif isinstance(happening, line.Opened):
                self.session.opened(happening.t_ns)
            elif isinstance(happening, line.Gone):
                self._gone += 1
                self.session.closed()
                self._event("device_gone", happening.text, happening.t_ns)
            else:
                self._event("port_unavailable", happening.text, happening.t_ns)
        self._attend()

    def _attend(self) -> None:
        """Do what is due, write what waits, and come back when something is due again."""
        now_ns = self.node.now_ns()
        self._tell_all(self.session.advance(now_ns))
        waiting = self.session.output()
        due_ns = self.session.next_due_ns
        if waiting:
            allowed = self._pacer.allowance(now_ns, len(waiting))
            taken = self._line.write(waiting[:allowed])
            self._pacer.released(now_ns, taken)
            self.session.written(taken)
            if taken < len(waiting):
                again_ns = max(now_ns + _FULL_LINE_NS, self._pacer.next_ns(now_ns))
                due_ns = again_ns if due_ns is None else min(due_ns, again_ns)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due_ns is None else self.node.at(due_ns, self._attend)

    def _tell_all(self, events: list[session.Event]) -> None:
        for event in events:
            self._tell(event)

    def _tell(self, event: session.Event) -> None:
        if isinstance(event, Reading):
            self._forward(event)
        elif isinstance(event, Greeted):
            firmware = ".".join(map(str, event.hello.firmware))
            what = "device_booted" if event.new_boot else "device_back"
            self._event(
                what,
                f"firmware {firmware}, unit {event.hello.unit_id:#x}, boot {event.hello.boot_id:#010x}",
            )
            if event.new_boot and self._running:
                self._configure()
        elif isinstance(event, CommandEnd):
            asked = self._asked.pop(event.number, "command")
            self._event("command_done" if event.done else "command_failed", f"{asked}: {event.text}")
        elif isinstance(event, Incompatible):
            self._event("device_incompatible", event.text)
        elif isinstance(event, Silent):
            self._event("device_silent", "the port is open, but nothing comes from the device")
        elif isinstance(event, Heard):
            self._event("device_heard", "the device speaks again")
        elif isinstance(event, Status):
            self._device_counters = {f"device_{name}": value for name, value in event._asdict().items()}
        elif isinstance(event, Log):
            self._event("device_log", event.text)

    def _forward(self, reading: Reading) -> None:
        if not self._running:
            self._outside_run += 1
        elif self._sink == 0 or reading.flow == messages.ECHO_FLOW:
            self._unsunk += 1
        else:
            self.node.send(self._sink, reading.payload, via=self._via, sent_ns=reading.stamp_ns)

    def _configure(self) -> None:
        if self._interval_ms >= 0:
            self._order("set_interval", self._interval_ms)
        if self._reading_bytes >= 0:
            self._order("set_reading_bytes", self._reading_bytes)

    def _order(self, name: str, argument: int) -> None:
        try:
            self._command(name, argument)
        except CommandError as error:
            self._event("command_failed", str(error))

    def _command(self, name: str, argument: int) -> int:
        try:
            number = self.session.commands.add(name, argument)
        except ValueError as error:
            raise CommandError(f"{self.node.id}: {error}") from None
        self._asked[number] = f"{name} {argument}"
        self._attend()
        return number

    def _event(self, what: str, text: str, t_ns: int | None = None) -> None:
        self.node.record("event", {"what": what}, {"text": text}, t_ns=t_ns)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
