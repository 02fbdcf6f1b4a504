"""Who went missing: processes that ended without being told to, and members that fell silent."""

from __future__ import annotations

import time
from typing import Final

from testbed.supervisor.control import HEARTBEAT_S
from testbed.supervisor.processes import how_it_ended
from testbed.supervisor.stage import CHANNEL, Stage

#: a member that has not been heard for this long is lost
LOST_AFTER_S: Final = 5.0
assert LOST_AFTER_S > 2 * HEARTBEAT_S


def watch(stage: Stage) -> None:
    """Write down what has gone; without the channel the run has a problem, without others it goes on."""
    for name, child in stage.children.items():
        status = child.exit_status
        if status is None or child.released:
            continue
        child.released = True
        member = stage.control.members.get(name)
        if member is not None and member.state == "bye":
            continue
        stage.control.forget(name)
        why = "" if status < 0 else f": {child.last_words()}"
        stage.event("process_ended", name, f"{name} {how_it_ended(status)}{why}")
        if name in stage.nodes:
            stage.nodes[name] |= {
                "status": "killed" if status < 0 else "failed", "exit_status": status, "ended_s": stage.run_s,
            }  # fmt: skip
        elif name == CHANNEL:
            stage.problem = child.last_words() if status > 0 else f"the channel {how_it_ended(status)}"
    if stage.start is None:
        # While setting up, building a world or compiling may take longer than any silence.
        return
    for member in list(stage.control.members.values()):
        silent_s = time.monotonic() - member.heard_s
        if member.state in ("ready", "registered") and silent_s > LOST_AFTER_S:
            stage.control.forget(member.id)
            stage.event("lost", member.id, f"{member.id} has not been heard for {silent_s:.1f} s")
            if member.id in stage.nodes:
                stage.nodes[member.id] |= {"status": "lost", "ended_s": stage.run_s - silent_s}
