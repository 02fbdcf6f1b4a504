"""A twin that acts beside a plant in virtual time: what it asks for is carried out between two windows."""

from __future__ import annotations

from typing import Any

from emulator.errors import WorldError
from emulator.orders import Orders
from nodes.node import CommandError
from nodes.wire import CommandResult, Record, Request
from testbed.twin.act.acting import Acting, at_once
from testbed.twin.act.commands import CHANNEL
from testbed.twin.core import Twin
from testbed.virtual.loop import Step
from testbed.virtual.plant import VirtualPlant


class ActingTwin:
    """A hook of `loop.run`; `said` are the records of its actions, in order."""

    def __init__(self, seed: int = 0) -> None:
        self.said: list[Record] = []
        self.acting: Acting | None = None
        self._seed = seed
        self._made = False

    def __call__(self, plant: VirtualPlant, twin: Twin, step: Step) -> None:
        """After a window: what arrived is taken, what is due is done."""
        if not self._made:
            self._made = True
            self.acting = at_once(twin, twin.knowledge, self._seed)
            if self.acting is not None:
                self.acting.begin(plant.start_ns)
        if self.acting is None:
            return
        self.acting.take(step.delivered)
        for said in self.acting.step(step.now_ns):
            if isinstance(said, Record):
                self.said.append(said)
            else:
                self.acting.answer(_carry_out(plant, said))


def _carry_out(plant: VirtualPlant, request: Request) -> CommandResult:
    """What the supervisor and the member would do with a request."""
    try:
        if request.member == CHANNEL:
            plant.order(orders_of(request.arguments))
            return CommandResult(request.number, True, "ordered")
        return CommandResult(
            request.number, True, plant.command(request.member, request.name, request.arguments)
        )
    except (CommandError, WorldError) as error:
        return CommandResult(request.number, False, str(error))


def orders_of(arguments: dict[str, Any]) -> Orders:
    """The orders of an `orders` command."""

    def link(name: str) -> tuple[str, str]:
        source, _, sink = name.partition(">")
        return source, sink

    penalties = {link(name): float(ms) for name, ms in arguments["penalty_ms"].items()}
    return Orders(penalties, {link(name) for name in arguments["barred"]})
