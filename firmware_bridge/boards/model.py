"""The reference firmware as a pure state machine: bytes and a time in, bytes out.

It does what firmware on a board does: HELLO at boot and in answer to HELLO, TIME answers, readings at
an interval, commands with acknowledgement, STATUS. It runs on its own clock, which may be offset and
drift. It opens nothing and reads no clock; `pty_model` puts it behind a serial line.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firmware_bridge import messages
from firmware_bridge.framing import DELIMITER, Deframer, FramingError, encode_frame
from firmware_bridge.messages import (
    Ack,
    Command,
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

FIRMWARE_VERSION: Final = (1, 0, 0)
#: temperature in 0.01 degrees Celsius, battery in mV, readings since boot; cut or padded to size
READING: Final = struct.Struct(">hHI")
MAX_INTERVAL_MS: Final = 24 * 3600 * 1000
_INFO: Final = 6  # syslog level


@dataclass(frozen=True)
class ModelSettings:
    """What a board is built with; `clock_drift_ppm` > 0 is a device clock that runs fast."""

    apid: int = 1
    unit_id: int = 1
    interval_ms: int = 1_000
    reading_bytes: int = 16
    clock_offset_us: int = 0
    clock_drift_ppm: float = 0.0
    seed: int = 0
    buffer_bytes: int = 1_024

    def __post_init__(self) -> None:
        for name, low, high in (
            ("apid", 1, messages.MAX_APID),
            ("interval_ms", 0, MAX_INTERVAL_MS),
            ("reading_bytes", 1, messages.MAX_PAYLOAD_BYTES),
            ("clock_offset_us", 0, 1 << 62),
            ("clock_drift_ppm", -100_000, 100_000),
            ("buffer_bytes", 256, 65_535),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, allowed is {low} to {high}")


class Model:
    """One board. `exchange` is its interrupt handler and main loop in one; times are real microseconds."""

    def __init__(self, settings: ModelSettings, new_boot_id: Callable[[], int], now_us: int) -> None:
        self.settings = settings
        self._new_boot_id = new_boot_id
        self._random = random.Random(settings.seed)
        self.boots = 0
        self._boot_pending = False
        self._room: int | None = None
        self._boot(now_us)

    def exchange(self, received: bytes, now_us: int, room: int | None = None) -> bytes:
        """Take bytes from the line, give the bytes for it.

        `room` is how many bytes the transmit buffer still takes (None: any number): what does not fit is
        not sent, and counted if it was a reading. Frames are never cut.
        """
        self._now_us = now_us
        self._room = room
        if self._boot_pending:
            self._boot_pending = False
            self._say_hello(answer=False)
            self._send(Log(_INFO, f"boot {self.boots}, {self.settings.reading_bytes} B readings"))
        boots = self.boots
        for packet in self._deframer.feed(received):
            self._receive(packet)
            if self.boots != boots:  # a reset loses what else had arrived
                break
        self._take_readings()
        output = bytes(self._output)
        self._output.clear()
        return output

    @property
    def next_due_us(self) -> int | None:
        """Real time at which `exchange` has something to do without input; None: never."""
        if self._boot_pending:
            return self._booted_at_us
        if self._next_reading_us is None:
            return None
        ahead = self._next_reading_us - self.settings.clock_offset_us
        return self._booted_at_us + round(ahead / self._clock_rate)

    @property
    def clock_us(self) -> int:
        """The device's clock at the last exchange: microseconds since boot, as far as the device knows."""
        elapsed = self._now_us - self._booted_at_us
        return self.settings.clock_offset_us + round(elapsed * self._clock_rate)

    @property
    def _clock_rate(self) -> float:
        return 1.0 + self.settings.clock_drift_ppm * 1e-6

    def _boot(self, now_us: int) -> None:
        self.boots += 1
        self.boot_id = self._new_boot_id()
        self._now_us = self._booted_at_us = now_us
        self._room = None
        self._output = bytearray(DELIMITER)
        self._deframer = Deframer()
        self._heard = SequenceTracker()
        self._peer_boot_id: int | None = None
        self._last_ack: Ack | None = None
        self._sequence = 0
        self._frames_in = self._frames_out = 0
        self._readings = self._readings_dropped = self._data_in = 0
        self._temperature_c = 20.0
        self.interval_ms = self.settings.interval_ms
        self.reading_bytes = self.settings.reading_bytes
        self._boot_pending = True
        self._next_reading_us: int | None = None
        self._plan_reading()

    def _receive(self, data: bytes) -> None:
        try:
            packet = messages.decode(data)
        except MessageError:
            return
        if not packet.to_device or packet.apid not in (messages.ANY_APID, self.settings.apid):
            return
        message = packet.message
        if isinstance(message, Hello) and message.boot_id != self._peer_boot_id:
            self._peer_boot_id = message.boot_id
            self._heard.reset()
            self._last_ack = None
        self._heard.see(packet.sequence)
        self._frames_in += 1
        if isinstance(message, Hello):
            if not message.answer:
                self._say_hello(answer=True)
        elif isinstance(message, TimeRequest):
            received_us = self.clock_us
            self._send(TimeResponse(message.t1_us, received_us, self.clock_us))
        elif isinstance(message, Data):
            self._data_in += 1
            if message.flow == messages.ECHO_FLOW:
                self._send(message)
        elif isinstance(message, Command):
            self._obey(message)

    def _obey(self, command: Command) -> None:
        if self._last_ack is not None and self._last_ack.number == command.number:
            self._send(self._last_ack)  # the first acknowledgement was lost on the line
            return
        result = messages.DONE
        if command.command == messages.SET_INTERVAL:
            if command.argument <= MAX_INTERVAL_MS:
                self.interval_ms = command.argument
                self._plan_reading()
            else:
                result = messages.BAD_ARGUMENT
        elif command.command == messages.SET_READING_BYTES:
            if 1 <= command.argument <= messages.MAX_PAYLOAD_BYTES:
                self.reading_bytes = command.argument
            else:
                result = messages.BAD_ARGUMENT
        elif command.command not in (messages.RESET, messages.REPORT_STATUS):
            result = messages.UNKNOWN_COMMAND
        self._last_ack = Ack(command.number, result)
        self._send(self._last_ack)
        if command.command == messages.REPORT_STATUS:
            self._send(self._status())
        elif command.command == messages.RESET and command.argument == self.boot_id:
            acknowledged = bytes(self._output)
            now_us = self._now_us
            self._boot(now_us)
            self._output[:0] = acknowledged

    def _plan_reading(self) -> None:
        interval_us = self.interval_ms * 1_000
        self._next_reading_us = self.clock_us + interval_us if interval_us else None

    def _take_readings(self) -> None:
        while self._next_reading_us is not None and self._next_reading_us <= self.clock_us:
            self._next_reading_us += self.interval_ms * 1_000
            if self._next_reading_us <= self.clock_us:
                # The processor was away for several intervals: a timer interrupt fires once for them.
                self._plan_reading()
            self._temperature_c += 0.01 * (20.0 - self._temperature_c) + self._random.gauss(0.0, 0.05)
            battery_mv = 3_700 - self._readings // 1_000 % 500
            body = READING.pack(round(self._temperature_c * 100), battery_mv, self._readings)
            self._readings += 1
            payload = body[: self.reading_bytes].ljust(self.reading_bytes, b"\x00")
            if not self._send(Data(messages.READINGS_FLOW, self._readings - 1, payload)):
                self._readings_dropped += 1

    def _say_hello(self, answer: bool) -> None:
        s = self.settings
        self._send(
            Hello(
                answer, messages.PROTOCOL, messages.SCHEMA_HASH, s.unit_id, self.boot_id,
                FIRMWARE_VERSION, s.buffer_bytes,
            )
        )  # fmt: skip

    def _status(self) -> Status:
        return Status(
            self._frames_in, self._frames_out, self._deframer.counters.damaged, self._heard.lost,
            self._readings, self._readings_dropped, self._data_in, self.interval_ms,
        )  # fmt: skip

    def _send(self, message: Message) -> bool:
        packet = Packet(self.settings.apid, False, self._sequence, self.clock_us, message)
        try:
            frame = encode_frame(messages.encode(packet))
        except (MessageError, FramingError):
            return False
        if self._room is not None and len(self._output) + len(frame) > self._room:
            return False
        self._sequence = (self._sequence + 1) % messages.SEQUENCE_MODULUS
        self._output += frame
        self._frames_out += 1
        return True
