"""What the twin may ask for: whether acting is permitted in this run, which commands, and who answers.

A request becomes a command of the supervisor, so that it is logged with who asked, and the twin hears under
its own number whether it was carried out. What arguments a command takes is for its receiver to check.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from nodes import wire
from testbed.scenario import Scenario
from testbed.scenario.node_tables import MicrocontrollerNode
from testbed.supervisor.control import Member
from testbed.supervisor.stage import CHANNEL, TWIN, Stage
from testbed.twin.act.commands import as_configured
from testbed.twin.public import of_scenario

#: commands that the channel and a node may be given on request
OF_THE_CHANNEL: Final = frozenset({"orders"})
OF_A_NODE: Final = frozenset({"offload", "pace", "priority"})
#: requests carried out within any minute of the run; one action may be a command for every node
MOST_A_MINUTE: Final = 1_000
_MINUTE_S: Final = 60.0
_SUPERVISOR: Final = "supervisor"


def why_not(scenario: Scenario) -> str:
    """Why the twin may not act in this run; empty when it may."""
    if scenario.twin.act != "auto":
        return f"twin.act = {scenario.twin.act!r}"
    hardware = [name for name, node in scenario.nodes.items() if _attached(node)]
    if hardware:
        return f"hardware is attached ({', '.join(hardware)}): the twin says what it would do, and does not"
    return ""


def _attached(node: object) -> bool:
    # A guest's program is the user's own, and takes no orders unless it wants to.
    if getattr(node, "role", "") == "guest":
        return False
    foreign = isinstance(node, MicrocontrollerNode) and node.device != "model"
    return foreign or bool(getattr(node, "external", False))


@dataclass
class _Asked:
    """A request that its receiver has not answered yet."""

    number: int
    twin: Member
    receiver: Member


class Requests:
    """Carries out what the twin asks for, or says why not."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._why_not = why_not(stage.scenario)
        self._asked: dict[int, _Asked] = {}
        self._times_s: deque[float] = deque()
        #: (receiver, command) of what was asked for
        self._given: set[tuple[str, str]] = set()

    def take(self, member: Member, request: wire.Request) -> None:
        """Give the command, or answer why it is not given."""
        problem = self._problem(member, request)
        if problem:
            self._stage.event(
                "refused",
                member.id,
                f"{member.id} asked that {request.member} be given {request.name}: refused, {problem}",
            )
            self._stage.control.send(member, wire.CommandResult(request.number, False, problem))
            return
        self._times_s.append(self._stage.run_s)
        receiver = self._stage.control.members[request.member]
        number = self._stage.command(receiver, request.name, request.arguments, member.id)
        self._asked[number] = _Asked(request.number, member, receiver)
        self._given.add((receiver.id, request.name))

    def withdraw(self) -> int:
        """Everything that was asked for is as configured again: how many receivers were told so."""
        given, self._given = self._given, set()
        told = set()
        for order in as_configured(of_scenario(self._stage.scenario)) if given else ():
            receiver = self._stage.control.members.get(order.member)
            if (order.member, order.name) in given and receiver is not None and receiver.state == "ready":
                self._stage.command(receiver, order.name, order.arguments, _SUPERVISOR)
                told.add(order.member)
        return len(told)

    def answered(self, result: wire.CommandResult) -> bool:
        """A command was carried out, or not; whether it was one that the twin had asked for."""
        asked = self._asked.pop(result.number, None)
        if asked is None:
            return False
        self._stage.note("command_done" if result.done else "command_failed", asked.receiver.id, result.text)
        self._answer(asked, result.done, result.text)
        return True

    def sweep(self) -> None:
        """Answer for those who are gone and will not."""
        for number, asked in list(self._asked.items()):
            if asked.receiver.state in ("gone", "bye"):
                del self._asked[number]
                self._answer(asked, False, f"{asked.receiver.id} is gone")

    def _answer(self, asked: _Asked, done: bool, text: str) -> None:
        # A twin that took the place of the one that asked knows nothing of the request.
        if asked.twin.state != "gone":
            self._stage.control.send(asked.twin, wire.CommandResult(asked.number, done, text))

    def _problem(self, member: Member, request: wire.Request) -> str:
        stage = self._stage
        if member.id != TWIN:
            return f"only {TWIN} may ask"
        if self._why_not:
            return self._why_not
        if request.member == CHANNEL:
            allowed = OF_THE_CHANNEL
        else:
            allowed = OF_A_NODE if request.member in stage.scenario.nodes else frozenset()
        if request.name not in allowed:
            return f"allowed for {request.member!r}: {', '.join(sorted(allowed)) or 'nothing'}"
        if stage.start is None or stage.quiescing:
            return "the run is not going on"
        receiver = stage.control.members.get(request.member)
        if receiver is None or receiver.state != "ready":
            return f"{request.member} is not there"
        while self._times_s and self._times_s[0] <= stage.run_s - _MINUTE_S:
            self._times_s.popleft()
        if len(self._times_s) >= MOST_A_MINUTE:
            return f"{MOST_A_MINUTE} requests were carried out within the last minute"
        return ""
