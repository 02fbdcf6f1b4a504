"""The bridge's side of the protocol with one device, as a pure state machine.

Bytes from the port and the time go in; bytes for the port and events come out. It greets, keeps the
clock fit, numbers and repeats commands, counts what the line damaged or lost, and notices a device
that booted again or fell silent. DATA is never repeated: what the bench cable loses is counted here,
what the emulated link loses is the channel's business. It opens no port and reads no clock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from firmware_bridge import messages
from firmware_bridge.clockfit import ClockFit
from firmware_bridge.commands import CommandEnd, CommandQueue
from firmware_bridge.framing import DELIMITER, Deframer, encode_frame
from firmware_bridge.messages import (
    Ack,
    Data,
    Hello,
    Log,
    Message,
    MessageError,
    Packet,
    SequenceTracker,
    Status,
    TimeRequest,
    TimeResponse,
)

MS: Final = 1_000_000
HELLO_INTERVAL_NS: Final = 500 * MS
TIME_INTERVAL_NS: Final = 1_000 * MS
#: the first exchanges after a boot follow faster, so that readings soon carry the device's own stamps
TIME_BURST: Final = 8
TIME_BURST_INTERVAL_NS: Final = 40 * MS
#: exchanges before the fit is used for stamps
MIN_EXCHANGES: Final = 4
#: TIME asks every second: a device that answers none of several is gone or hangs
SILENCE_NS: Final = 4_000 * MS
#: bytes waiting for the line; DATA beyond it is dropped and counted
OUTPUT_LIMIT_BYTES: Final = 8_192
#: a device stamp further than this from the time of reading is not believed
MAX_STAMP_AGE_NS: Final = 10_000 * MS


class Greeted(NamedTuple):
    """A device introduced itself: for the first time, after the port came back, or after it booted again."""

    hello: Hello
    apid: int
    new_boot: bool


class Incompatible(NamedTuple):
    """A device answers, but speaks another protocol or other layouts."""

    text: str


class Reading(NamedTuple):
    """DATA from the device. `stamp_ns` is on the host's clock; `from_device` tells whose stamp it is."""

    flow: int
    number: int
    payload: bytes
    stamp_ns: int
    from_device: bool


class Silent(NamedTuple):
    """Nothing came from the device for `SILENCE_NS`, although the port is open."""


class Heard(NamedTuple):
    """The device is back after Silent, without having booted."""


Event: TypeAlias = Greeted | Incompatible | Reading | CommandEnd | Silent | Heard | Log | Status


@dataclass
class SessionCounters:
    """Counted since the session began, over all boots and all openings of the port."""

    frames_up: int = 0
    frames_down: int = 0
    bytes_down: int = 0
    lost_up: int = 0  # gaps in the device's sequence: damaged frames and those that vanished whole
    unknown: int = 0  # undamaged, but not of this protocol, or not meant for a bridge
    foreign: int = 0  # of another device on the same line
    dropped_down: int = 0  # DATA that found the queue for the line full, or no device
    readings: int = 0
    boots: int = 0
    silences: int = 0


class Session:
    """One device, whatever port it is on; all times are CLOCK_MONOTONIC ns of the host."""

    def __init__(self, boot_id: int | None = None) -> None:
        self.counters = SessionCounters()
        self.clock = ClockFit()
        self.device: Hello | None = None
        self._boot_id = secrets.randbits(32) if boot_id is None else boot_id
        self._device_boot_id: int | None = None
        self._apid = messages.ANY_APID
        self._deframer = Deframer()
        self._from_device = SequenceTracker()
        self._last_stamp_us = 0
        self._sequence = 0
        self._output = bytearray()
        self._open = False
        self._incompatible = ""
        self._silent = False
        self._hello_due_ns = self._time_due_ns = 0
        self._burst = 0
        self._asked_us = -1  # t1 of the TIME request in flight
        self._asked_ns = 0
        self._heard_ns = 0
        self.commands = CommandQueue()
        self._next_data = 0

    @property
    def damaged(self) -> int:
        """Stretches of bytes from the device that were no good frame."""
        return self._deframer.counters.damaged

    @property
    def bytes_up(self) -> int:
        """Bytes read from the line."""
        return self._deframer.counters.bytes_in

    @property
    def connected(self) -> bool:
        """A device of this protocol answered since the port was opened and is not silent."""
        return self._open and self.device is not None and not self._silent

    def opened(self, now_ns: int) -> None:
        """The port was opened: begin with a delimiter, which ends whatever the line held, and a HELLO."""
        self._open = True
        self._deframer.reset()
        self._output = bytearray(DELIMITER)
        self._heard_ns = now_ns
        self._silent = False
        self._hello(now_ns, answer=False)

    def closed(self) -> None:
        """The port is gone; commands wait for its return, queued bytes do not."""
        self._open = False
        self.device = None
        self._output.clear()
        self._asked_us = -1

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Take what was read from the port at `now_ns`."""
        events: list[Event] = []
        for raw in self._deframer.feed(data):
            try:
                packet = messages.decode(raw)
            except MessageError:
                self.counters.unknown += 1
                continue
            if packet.to_device:  # an echo of ours, or another bridge on the line
                self.counters.unknown += 1
                continue
            self._packet(packet, now_ns, events)
        return events

    def advance(self, now_ns: int) -> list[Event]:
        """Do what is due: greet, ask for the time, repeat commands, notice silence."""
        events: list[Event] = []
        if not self._open:
            return events
        if not self._silent and now_ns - self._heard_ns >= SILENCE_NS:
            self._silent = True
            self.counters.silences += 1
            events.append(Silent())
        if not self.connected:
            if now_ns >= self._hello_due_ns:
                self._hello(now_ns, answer=False)
            return events
        if now_ns >= self._time_due_ns:
            self._ask_time(now_ns)
        command = self.commands.due(now_ns, self.device.boot_id if self.device else 0)
        if isinstance(command, CommandEnd):
            events.append(command)
        elif command is not None:
            self._send(command, now_ns)
        return events

    @property
    def next_due_ns(self) -> int | None:
        """When `advance` has something to do; None while the port is closed."""
        if not self._open:
            return None
        if not self.connected:
            due = self._hello_due_ns
        else:
            due = self._time_due_ns
            if (command_ns := self.commands.due_ns) is not None:
                due = min(due, command_ns)
        return due if self._silent else min(due, self._heard_ns + SILENCE_NS)

    def output(self) -> bytes:
        """The bytes waiting for the port; call `written` with how many it took."""
        return bytes(self._output)

    def written(self, count: int) -> None:
        """The port took the first `count` bytes."""
        del self._output[:count]
        self.counters.bytes_down += count

    def send_data(self, payload: bytes, now_ns: int, flow: int = messages.READINGS_FLOW) -> bool:
        """DATA down; False (and counted) without a device, when the queue is full or it does not fit."""
        fits = len(payload) <= messages.MAX_PAYLOAD_BYTES
        if not fits or not self.connected or len(self._output) > OUTPUT_LIMIT_BYTES:
            self.counters.dropped_down += 1
            return False
        self._send(Data(flow, self._next_data, payload), now_ns)
        self._next_data = (self._next_data + 1) & 0xFFFF_FFFF
        return True

    def _packet(self, packet: Packet, now_ns: int, events: list[Event]) -> None:
        message = packet.message
        if isinstance(message, Hello):
            if not self._greeted(packet, message, now_ns, events):
                return
        elif self.device is None:
            return  # not introduced yet: the answer to our HELLO is on its way
        elif packet.apid != self._apid:
            self.counters.foreign += 1
            return
        elif packet.stamp_us < self._last_stamp_us:
            # Time since boot never runs back: it booted, and its HELLO was lost on the line.
            self.device = None
            self._hello(now_ns, answer=False)
            return
        self._last_stamp_us = packet.stamp_us
        self.counters.lost_up += self._from_device.see(packet.sequence)
        self.counters.frames_up += 1
        self._heard_ns = now_ns
        if self._silent:
            self._silent = False
            events.append(Heard())
        if isinstance(message, TimeResponse):
            self._time(message, now_ns)
        elif isinstance(message, Data):
            self.counters.readings += message.flow == messages.READINGS_FLOW
            stamp_ns, from_device = self._host_time(packet.stamp_us, now_ns)
            events.append(Reading(message.flow, message.number, message.payload, stamp_ns, from_device))
        elif isinstance(message, Ack) and (end := self.commands.acknowledged(message)) is not None:
            events.append(end)
        elif isinstance(message, Status | Log):
            events.append(message)

    def _greeted(self, packet: Packet, hello: Hello, now_ns: int, events: list[Event]) -> bool:
        if self.connected and packet.apid != self._apid:
            self.counters.foreign += 1
            return False
        if (hello.protocol, hello.schema_hash) != (messages.PROTOCOL, messages.SCHEMA_HASH):
            self.device = None
            text = (
                f"the device speaks protocol {hello.protocol} with schema {hello.schema_hash:#010x}, "
                f"the bridge {messages.PROTOCOL} with {messages.SCHEMA_HASH:#010x}"
            )
            if text != self._incompatible:
                self._incompatible = text
                events.append(Incompatible(text))
            return False
        self._incompatible = ""
        known = self.device is not None
        new_boot = hello.boot_id != self._device_boot_id
        self.device, self._apid, self._device_boot_id = hello, packet.apid, hello.boot_id
        if new_boot:
            self._booted(now_ns, events)
        if new_boot or not known:
            events.append(Greeted(hello, packet.apid, new_boot))
        if not hello.answer:
            self._hello(now_ns, answer=True)
        return True

    def _booted(self, now_ns: int, events: list[Event]) -> None:
        self.counters.boots += 1
        self.clock.reset()
        self._from_device.reset()
        self._asked_us = -1
        self._burst, self._time_due_ns = TIME_BURST, now_ns
        if (end := self.commands.booted()) is not None:
            events.append(end)

    def _ask_time(self, now_ns: int) -> None:
        self._asked_us, self._asked_ns = now_ns // 1_000, now_ns
        self._burst = max(0, self._burst - 1)
        self._time_due_ns = now_ns + (TIME_BURST_INTERVAL_NS if self._burst else TIME_INTERVAL_NS)
        self._send(TimeRequest(self._asked_us), now_ns)

    def _time(self, answer: TimeResponse, now_ns: int) -> None:
        if answer.t1_us != self._asked_us:
            return  # the answer to a request given up
        self._asked_us = -1
        try:
            self.clock.add(self._asked_ns, answer.t2_us, answer.t3_us, now_ns)
        except ValueError:
            self.counters.unknown += 1

    def _host_time(self, stamp_us: int, now_ns: int) -> tuple[int, bool]:
        if self.clock.fit is not None and len(self.clock) >= MIN_EXCHANGES:
            stamp_ns = self.clock.fit.to_host_ns(stamp_us)
            if now_ns - MAX_STAMP_AGE_NS <= stamp_ns <= now_ns + self.clock.fit.bound_at(now_ns):
                return min(stamp_ns, now_ns), True
        return now_ns, False

    def _hello(self, now_ns: int, answer: bool) -> None:
        self._hello_due_ns = now_ns + HELLO_INTERVAL_NS
        self._send(
            Hello(
                answer, messages.PROTOCOL, messages.SCHEMA_HASH, 0, self._boot_id,
                (messages.PROTOCOL, 0, 0), OUTPUT_LIMIT_BYTES,
            ),
            now_ns,
        )  # fmt: skip

    def _send(self, message: Message, now_ns: int) -> None:
        if len(self._output) > 2 * OUTPUT_LIMIT_BYTES:
            return  # the line takes nothing; whatever is due is asked again later
        packet = Packet(self._apid, True, self._sequence, now_ns // 1_000, message)
        self._output += encode_frame(messages.encode(packet))
        self._sequence = (self._sequence + 1) % messages.SEQUENCE_MODULUS
        self.counters.frames_down += 1
