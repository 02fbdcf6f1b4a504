"""The deviations that are not the channel's, at their moments: slow servers, wrong clocks, hidden senders.

A node that was restarted in the middle of one is given it again. What the channel does to links is its own.
"""

from __future__ import annotations

import time

from testbed.plant.deviations import Moment, clock_offsets, slow_servers
from testbed.plant.deviations import event as plant_event
from testbed.scenario.node_tables import ClockOffset, SlowServer
from testbed.supervisor.control import Member
from testbed.supervisor.stage import Stage

_PLANT = "plant"


class Conduct:
    """Gives nodes the commands of their deviations."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def deviate(self, moment: Moment, what: str) -> None:
        """A deviation starts or ends: write it down, and order what a node has to do about it."""
        deviation = moment.deviation
        self._stage.record([plant_event(moment, time.monotonic_ns(), what)])
        for sender in self._stage.hidden.values():
            hidden = self._stage.control.members.get(sender.name)
            if sender.moment == moment and hidden is not None:
                self._stage.command(hidden, "begin" if what == "start" else "end", {}, _PLANT)
        member = self._stage.control.members.get(deviation.target)
        if member is None:
            return
        if isinstance(deviation, SlowServer):
            self._slow(member, deviation.factor if what == "start" else 1.0)
        elif isinstance(deviation, ClockOffset):
            offset_ms, skew_ppm = (deviation.offset_ms, deviation.skew_ppm) if what == "start" else (0.0, 0.0)
            self._clock(member, offset_ms, skew_ppm)

    def again(self, member: Member) -> None:
        """A node came (again) while the run goes on: it is as slow, and its clock as wrong, as it was."""
        stage = self._stage
        for moment, slow in slow_servers(stage.scenario):
            if slow.target == member.id and moment.active(stage.run_s):
                self._slow(member, slow.factor)
        for moment, wrong in clock_offsets(stage.scenario):
            if wrong.target == member.id and moment.active(stage.run_s):
                grown_ms = wrong.skew_ppm * 1e-3 * (stage.run_s - moment.start_s)
                self._clock(member, wrong.offset_ms + grown_ms, wrong.skew_ppm)

    def _slow(self, member: Member, factor: float) -> None:
        self._stage.command(member, "set_speed", {"factor": factor}, _PLANT)

    def _clock(self, member: Member, offset_ms: float, skew_ppm: float) -> None:
        arguments: dict[str, object] = {"offset_ms": offset_ms, "skew_ppm": skew_ppm}
        self._stage.command(member, "set_clock", arguments, _PLANT)
