"""Commands on their way to a device: numbered, one at a time, repeated until acknowledged or given up.

A state machine without I/O: `session` sends what `due` gives and tells what was heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from firmware_bridge import messages
from firmware_bridge.messages import Ack, Command

COMMAND_TIMEOUT_NS: Final = 200_000_000
COMMAND_TRIES: Final = 6
#: commands that may wait; more are refused
COMMAND_QUEUE: Final = 32


class CommandEnd(NamedTuple):
    """A command was acknowledged, refused, or given up."""

    number: int
    done: bool
    text: str


@dataclass
class _Pending:
    command: Command
    tries: int = 0


class CommandQueue:
    """The commands for one device, in order; `resent` counts repetitions."""

    def __init__(self) -> None:
        self.resent = 0
        self._waiting: deque[_Pending] = deque()
        self._next_number = 1
        self._due_ns = 0

    def add(self, name: str, argument: int) -> int:
        """Queue a command; its number. ValueError, in one sentence, if it is none or there are too many."""
        code = messages.COMMAND_NAMES.get(name)
        if code is None:
            known = ", ".join(messages.COMMAND_NAMES)
            raise ValueError(f"unknown command {name!r}, a device knows {known}")
        if not 0 <= argument < 1 << 32:
            raise ValueError(f"{name} takes an integer from 0 to 4294967295, got {argument}")
        if len(self._waiting) >= COMMAND_QUEUE:
            raise ValueError(f"{COMMAND_QUEUE} commands are waiting for the device already")
        number = self._next_number
        self._next_number = number % 0xFFFF + 1
        self._waiting.append(_Pending(Command(number, code, argument)))
        return number

    @property
    def due_ns(self) -> int | None:
        """When `due` has something to say; None without commands."""
        return self._due_ns if self._waiting else None

    def due(self, now_ns: int, boot_id: int) -> Command | CommandEnd | None:
        """The command to send now, or the end of one that was repeated in vain.

        `boot_id` is the device's present one: a RESET means that boot, so that its repetition cannot
        reset a device that has obeyed already.
        """
        if not self._waiting or now_ns < self._due_ns:
            return None
        head = self._waiting[0]
        if head.tries >= COMMAND_TRIES:
            self._next()
            return CommandEnd(head.command.number, False, f"not acknowledged in {COMMAND_TRIES} tries")
        if head.tries == 0 and head.command.command == messages.RESET:
            head.command = head.command._replace(argument=boot_id)
        self.resent += head.tries > 0
        head.tries += 1
        self._due_ns = now_ns + COMMAND_TIMEOUT_NS
        return head.command

    def acknowledged(self, ack: Ack) -> CommandEnd | None:
        """Take an acknowledgement; None if it is the second one of a repeated command."""
        if not self._waiting or self._waiting[0].command.number != ack.number:
            return None
        self._next()
        text = messages.RESULT_TEXTS.get(ack.result, f"the device answers with result {ack.result}")
        return CommandEnd(ack.number, ack.result == messages.DONE, text)

    def booted(self) -> CommandEnd | None:
        """The device booted again: a RESET on its way is thereby done, any other starts over."""
        self._due_ns = 0
        if not self._waiting:
            return None
        head = self._waiting[0]
        if head.tries and head.command.command == messages.RESET:
            self._next()
            return CommandEnd(head.command.number, True, "the device booted again")
        head.tries = 0
        return None

    def _next(self) -> None:
        self._waiting.popleft()
        self._due_ns = 0
