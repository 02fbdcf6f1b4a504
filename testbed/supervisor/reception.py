"""Who may join a run: registration of the scenario's own processes and of guests.

A node of the scenario has its port from the start; a guest is given one at a place of its choice. Nobody
is let in before there is a channel to join.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nodes import wire
from testbed.supervisor.control import Member, registered
from testbed.supervisor.stage import CHANNEL, TWIN, Stage

#: requests kept until there is a channel
_MOST_WAITING: Final = 10_000


class Reception:
    """Answers Register, and knows what joining still waits for.

    `on_admitted` hears of the channel and of twins when they were let in.
    """

    def __init__(self, stage: Stage, on_admitted: Callable[[Member], None] = lambda member: None) -> None:
        self._stage = stage
        self._on_admitted = on_admitted
        self._data_endpoint = ""
        self._waiting: list[tuple[bytes, wire.Register]] = []
        self._guest_ports = list(range(stage.ports.first_guest, stage.ports.ip_from))
        self._joining: dict[int, tuple[bytes, wire.Register, int]] = {}

    def open(self, data_endpoint: str) -> None:
        """There is a channel now: let in who has been waiting."""
        self._data_endpoint = data_endpoint
        waiting, self._waiting = self._waiting, []
        for identity, register in waiting:
            self.register(identity, register)

    def register(self, identity: bytes, message: wire.Register) -> None:
        """Answer a request to join, now or later."""
        refusal = self._refusal(message)
        if refusal:
            self._stage.control.send(identity, wire.Refused(refusal))
            return
        if message.id in (CHANNEL, TWIN) or message.id in self._stage.edges:
            member = self._stage.control.admit(identity, message)
            self._stage.control.send(identity, registered(0, "", {}, {}))
            self._on_admitted(member)
        elif not self._data_endpoint:
            # Nobody joins before there is a channel to join; repeats of a request replace it.
            self._waiting = [(i, m) for i, m in self._waiting if m.id != message.id][:_MOST_WAITING]
            self._waiting.append((identity, message))
        elif (port := (self._stage.ports.of | self.guests()).get(message.id)) is not None:
            self._admit(identity, message, port)
        elif not any(register.id == message.id for _, register, _ in self._joining.values()):
            port = self._guest_ports.pop(0)
            channel = self._stage.control.members[CHANNEL]
            number = self._stage.command(
                channel, "add_port", {"port": port, "place": message.place}, "supervisor"
            )
            self._joining[number] = (identity, message, port)

    def _refusal(self, message: wire.Register) -> str:
        if message.protocol != wire.VERSION:
            return f"it speaks version {message.protocol} of the protocol, this run version {wire.VERSION}"
        member = self._stage.control.members.get(message.id)
        alive = member is not None and member.state != "gone" and not self._stage.has_ended(message.id)
        if alive and member is not None and member.pid != message.pid and member.state != "bye":
            return f"a node of this name is running already (process {member.pid})"
        child = self._stage.children.get(message.id)
        part = message.id in (CHANNEL, TWIN) or message.id in self._stage.edges
        own = part or message.id in self._stage.hidden
        if own and child is not None and child.process.pid != message.pid:
            # Its word is believed, and its requests are carried out.
            return f"this run has started its own {message.id}"
        known = self._stage.nodes.get(message.id, {})
        if "port" in known and known["place"] != message.place:
            # Its port stands there, and a replay of the run relies on it.
            return f"it stood at {known['place']!r}: a guest comes back to its place, or under another id"
        if known or part:
            return ""
        if not (self._stage.scenario.network.guests or message.id in self._stage.hidden):
            return f"the scenario has no node {message.id!r} and takes no guests (network.guests = false)"
        if message.place not in self._stage.scenario.places:
            places = ", ".join(self._stage.scenario.places)
            return f"the scenario has no node {message.id!r}; a guest names one of the places {places}"
        return "" if self._guest_ports else "there is no room for more guests"

    def _admit(self, identity: bytes, message: wire.Register, port: int) -> None:
        known = self._stage.control.members.get(message.id)
        if known is None or known.identity != identity:
            self._stage.control.admit(identity, message)
        info = self._stage.nodes.setdefault(
            message.id, {"role": message.role, "place": message.place, "external": True}
        )
        info["status"] = "registered"
        config = (
            self._stage.scenario.node_config(message.id) if message.id in self._stage.scenario.nodes else {}
        )
        directory = self._stage.ports.of | self.guests()
        self._stage.control.send(identity, registered(port, self._data_endpoint, directory, config))

    def guests(self) -> dict[str, int]:
        """Ports of the guests."""
        return {id: info["port"] for id, info in self._stage.nodes.items() if "port" in info}

    def command_done(self, member: Member, result: wire.CommandResult) -> None:
        """An order was carried out, or not."""
        if result.number in self._joining:
            identity, register, port = self._joining.pop(result.number)
            if result.done:
                self._stage.nodes[register.id] = {
                    "role": register.role, "place": register.place, "external": True, "port": port,
                }  # fmt: skip
                self._admit(identity, register, port)
            else:
                self._guest_ports.append(port)
                self._stage.control.send(identity, wire.Refused(result.text))
        elif not result.done:
            self._stage.event("command_failed", member.id, f"{member.id} could not: {result.text}")
