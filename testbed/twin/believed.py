"""What the twin believes, told: states for its table and for records, and the belief a what-if starts from.

Everything learned of channels, links, servers and the twin's parts is read here and nothing is changed, but
for the table of states, which is laid out anew after every window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from nodes.wire import Record, Value
from testbed.twin.attribution import LINK_DOWN, Size
from testbed.twin.belief import Belief, Estimate
from testbed.twin.channels import Channels
from testbed.twin.events import Events
from testbed.twin.parts import Part, State
from testbed.twin.predict import Prediction
from testbed.twin.radio import Phase
from testbed.twin.roster import Roster
from testbed.twin.servers import ServerBelief
from testbed.twin.state import StateTable
from testbed.twin.synchronisation import source_of
from testbed.twin.watching import LinkWatching

#: a factor of the rate this close to 1 is none
SAME_RATE = 0.002
_NO_FADE = Size(0.0, 0.0, 0.0, 0.0)


class Believed:
    """The belief in its parts, and the table in which it is told with versions."""

    def __init__(
        self, channels: Channels, roster: Roster, watching: LinkWatching, servers: Mapping[str, ServerBelief],
        parts: list[Part], events: Events,
    ) -> None:  # fmt: skip
        self._channels = channels
        self._roster = roster
        self._watching = watching
        self._servers = servers
        self._parts = parts
        self._events = events
        #: what is believed of everything, with versions
        self.table = StateTable()

    def predicted(self, made: Mapping[str, Prediction], before: Iterable[str]) -> None:
        """Lays what is predicted for a window into the table; of `before`, what exists no more leaves it."""
        for name in [name for name in before if name not in made]:
            self.table.drop(name)
        for name, one in made.items():
            for quantity, band in one.bands.items():
                self.table.update(name, quantity, band.mean, band.sd**2)

    def learned(self, made: Mapping[str, Prediction], taken: Iterable[Record], start_ns: int) -> None:
        """Lays what is believed after a window into the table, with the time of what it rests on.

        `made`: what was predicted for it; `taken`: the records of the window.
        """
        newest: dict[str, float] = {}
        for record in taken:
            t_s = (record.t_ns - start_ns) / 1e9
            source = source_of(record)
            prediction = made.get(source)
            place = prediction.link.place if prediction is not None and prediction.link is not None else ""
            for target in (source, place):
                newest[target] = max(t_s, newest.get(target, t_s))
        for target, name, mean, variance in self.states():
            self.table.update(target, name, mean, variance, newest.get(target, -math.inf))
        for name, one in made.items():
            if name in newest:
                for quantity in one.bands:
                    self.table.observed(name, quantity, newest[name])

    def states(self) -> Iterator[State]:
        """Mean and variance of every parameter that is learned."""
        for (place, direction), channel in self._channels.all.items():
            if channel.windows:
                yield State(place, f"snr_bias_{direction}_db", channel.bias.mean, channel.bias.variance)
                attenuation = channel.attenuation() if channel.phase is Phase.FADED else _NO_FADE
                yield State(place, f"attenuation_{direction}_db", attenuation.mean, attenuation.sd**2)
        for name in sorted(self._roster.present):
            belief = self._roster.beliefs[name]
            if belief.windows:
                yield State(name, "delay_bias_ms", belief.bias.mean, belief.bias.variance)
                rate, losses = self._watching.rate(name), self._watching.losses(name)
                yield State(name, "capacity_factor", rate.factor, rate.now[1] ** 2)
                share = belief.lost_share
                yield State(name, "loss_share", *share)
                process = losses.dispersion.process(share[0])
                if process.p11 != process.p01:
                    yield State(name, "loss_p01", process.p01, 0.0)
                    yield State(name, "loss_p11", process.p11, 0.0)
        for name, server in self._servers.items():
            if server.tasks:
                factor = math.exp(server.factor_log.mean)
                yield State(name, "service_factor", factor, factor**2 * server.factor_log.variance)
        for part in self._parts:
            yield from part.states()

    def records(self, now_ns: int, now_s: float) -> list[Record]:
        """The state as records: mean and variance of every parameter that is learned."""
        out = []
        for target, name, mean, variance in self.states():
            fields: dict[str, Value] = {"mean": mean, "variance": variance}
            entry = self.table.get(target, name)
            if entry is not None and math.isfinite(entry.t_s):
                fields |= {"version": entry.version, "age_s": now_s - entry.t_s}
            out.append(Record(now_ns, "belief", {"target": target, "state": name}, fields))
        return out

    def parameters(self, now_s: float) -> Belief:
        """The parameters as they are believed now: what a what-if starts from."""
        belief = Belief(now_s)
        for (place, direction), channel in self._channels.all.items():
            key = f"{place}/{direction}"
            belief.snr_bias_db[key] = Estimate(channel.bias.mean, channel.bias.sd)
            if channel.phase is Phase.FADED:
                belief.attenuation_db[key] = Estimate(*channel.attenuation()[:2])
        for name in sorted(self._roster.present):
            one = self._roster.beliefs[name]
            belief.delay_ms[name] = Estimate(one.bias.mean, one.bias.sd)
            rate = self._watching.rate(name)
            if abs(rate.factor - 1.0) > SAME_RATE:
                belief.capacity_factor[name] = Estimate(rate.factor, rate.now[1])
            losses = self._watching.losses(name)
            if losses.changed:
                belief.loss[name] = Estimate(*losses.size()[:2])
        for name, server in self._servers.items():
            factor = math.exp(server.factor_log.mean)
            belief.service_factor[name] = Estimate(factor, factor * server.factor_log.sd)
        for event in self._events.active:
            if event.kind == LINK_DOWN:
                belief.down += event.links
        for part in self._parts:
            part.tell(belief)
        return belief
