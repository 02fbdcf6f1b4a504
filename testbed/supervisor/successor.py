"""A twin that died is followed by another, which is given back what the first one had learned.

The twin sends snapshots of its belief. The newest is kept in the run's folder, outside of the room in which
the twin works, and handed to whoever registers in its place. A twin that cannot work is not started for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from nodes import wire
from testbed.errors import BadInput
from testbed.supervisor.control import Member
from testbed.supervisor.stage import TWIN, Stage

#: how often a twin is started again in a run, and how long after the last start at the earliest
MOST_TIMES: Final = 3
EVERY_S: Final = 2.0
#: largest snapshot that is kept
MOST_BYTES: Final = 8 << 20


class Successor:
    """Keeps a twin's memory, and starts a twin again.

    `launch` starts its process; `withdraw` takes back what it had ordered, and says of how many. `name`: of
    the process; only the central twin's memory is written to the run's folder.
    """

    def __init__(
        self, stage: Stage, launch: Callable[[], None], withdraw: Callable[[], int], name: str = TWIN
    ) -> None:
        self._stage = stage
        self._name = name
        self._launch = launch
        self._withdraw = withdraw
        self._given_up = False
        self._launched_s = 0.0
        self._kept: wire.Snapshot | None = None
        self._told: set[str] = set()

    def keep(self, member: Member, snapshot: wire.Snapshot) -> None:
        """Keep what the twin knows."""
        if len(snapshot.data) > MOST_BYTES:
            size = f"{len(snapshot.data)} bytes, more than {MOST_BYTES}"
            self._once("refused", f"a snapshot of {self._name} was not kept: it has {size}")
        else:
            self._kept = snapshot
            if self._name == TWIN:
                self._write(snapshot)

    def admitted(self, member: Member) -> None:
        """The twin was let in: it hears what is kept, before it is told to start."""
        if member.id == self._name:
            self._launched_s = time.monotonic()
            if self._kept is not None:
                self._stage.control.send(member, self._kept)

    def tick(self) -> None:
        """Start the twin again if it ended, or fell silent, in a run that goes on; or give it up."""
        stage = self._stage
        child = stage.children.get(self._name)
        member = stage.control.members.get(self._name)
        if child is None or stage.start is None or stage.quiescing or self._given_up:
            return
        status = child.exit_status
        if status is None:
            if member is None or member.state != "gone" or member.pid != child.process.pid:
                return
            # It lives, but nobody has heard from it: two of them must not speak.
            child.released = True
            child.process.kill()
            child.process.wait()
            status = child.exit_status
        left = member is not None and member.state == "bye"
        if status == BadInput.exit_status or left or stage.restarts[self._name] >= MOST_TIMES:
            self._give_up()
        elif time.monotonic() - self._launched_s >= EVERY_S:
            self._launched_s = time.monotonic()
            stage.restarts[self._name] += 1
            self._launch()
            times = f"{stage.restarts[self._name]} of {MOST_TIMES} times"
            stage.event("restarted", self._name, f"{self._name} is started again ({times})")

    def _give_up(self) -> None:
        """Nobody would take back what is in force when its cause is over."""
        self._given_up = True
        told = self._withdraw()
        if told:
            text = f"{self._name} is gone for good: what it had ordered is withdrawn ({told} told)"
            self._stage.event("withdrawn", self._name, text)

    def _write(self, snapshot: wire.Snapshot) -> None:
        path = self._stage.folder.belief_path
        # Whole or not at all; not forced to the disk, which could hold up everybody's telemetry.
        temporary = path.with_suffix(".new")
        try:
            temporary.write_bytes(snapshot.data)
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self._once("disk", f"the twin's snapshot could not be written: {error.strerror}")

    def _once(self, what: str, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._stage.event(what, self._name, text)
