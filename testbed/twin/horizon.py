"""Where satellites will be: who will serve whom, and links in clear sky, for the coming half hour.

From public knowledge and what the network was ordered, by the emulator's own world: decisions are taken
where they will be taken, so handovers are foreseen to the epoch unless satellites are not where their
elements say. The work is done in steps of the caller's choice, each of a millisecond or few. Beliefs are not
known here (`outlook`), nor ways: what routes are ordered to avoid changes nothing that is told.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from emulator.orbits.frames import RunClock
from emulator.orders import Orders
from emulator.spec import WorldSpec
from emulator.table import Link
from emulator.units import TICK_S
from testbed.twin.nominal import NominalLink, NominalNetwork, RadioBelief

#: how far is looked ahead, s
AHEAD_S: Final = 1800.0
#: links are looked at so often, s, and oftener never: more of them than `_MOST` are looked at more seldom
STEP_S: Final = 10.0
_MOST: Final = 40_000


class Published:
    """A belief that everything is as published."""

    def fade_db(self, place: str, direction: str) -> float:
        """No weather beyond what is counted on."""
        return 0.0

    def bias_db(self, place: str, direction: str) -> float:
        """No bias."""
        return 0.0


class Foreseen(Protocol):
    """What is asked of a network of its own, forwards in time only."""

    def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[NominalLink]: ...

    def serving(self, t_s: float) -> dict[str, str]: ...

    def obey(self, orders: Orders) -> None: ...


class Handover(NamedTuple):
    """At run time `t_s` a terminal goes from one satellite or station to another, "" for none."""

    t_s: float
    terminal: str
    before: str
    after: str


class Horizon:
    """The coming `ahead_s` of a world, as far as it has been computed.

    `build`: makes the network that is looked at, which nobody else may step.
    """

    def __init__(
        self,
        spec: WorldSpec,
        ahead_s: float = AHEAD_S,
        step_s: float = STEP_S,
        build: Callable[[WorldSpec, RadioBelief], Foreseen] = NominalNetwork,
    ) -> None:
        self.ahead_s = ahead_s
        self._spec, self._build = spec, build
        #: what terminals are barred from, and since which run time; more in their order
        self._barred: list[tuple[float, frozenset[Link]]] = [(-math.inf, frozenset())]
        self._step_s = step_s
        self._epoch_s = spec.epoch_s
        self._decides = any(place.access in ("terminal", "gateway") for place in spec.places)
        self._interval_s = spec.access.decision_interval_s
        second_of_day = RunClock(spec.start_utc).second_of_day
        #: the last decision at or before the start
        self._first_s = -((second_of_day - spec.access.decision_offset_s) % self._interval_s)
        self._begin()

    def _begin(self) -> None:
        """Nothing is known yet."""
        self._network = self._build(self._spec, Published())
        self._decisions = 0
        self._looked_s = -math.inf
        #: up to which run time everything is known
        self.known_s = -math.inf
        self._serving: dict[str, str] = {}
        self._served: dict[str, str] = {}  # before the first handover that is kept
        self.handovers: deque[Handover] = deque()
        self._times: deque[float] = deque()
        self._links: deque[list[NominalLink]] = deque()

    def obey(self, orders: Orders, now_s: float) -> bool:
        """From `now_s` on the network obeys `orders`; whether that changes anything that was foreseen.

        If it does, all is looked at anew: who serves whom depends on who did before, so decisions are taken
        again from the start, each under the orders of its time.
        """
        barred = frozenset(orders.barred)
        if barred == self._barred[-1][1]:
            return False
        self._barred.append((now_s, barred))
        self._begin()
        return True

    def advance(self, now_s: float, steps: int = 1) -> bool:
        """Looks further ahead, `steps` epochs at most; whether all of the coming `ahead_s` is known.

        What was before `now_s` is forgotten.
        """
        self._forget(now_s)
        for _ in range(steps):
            decision_s, look_s = self._next_decision_s(), self._looked_s + self._step_s
            if self._looked_s == -math.inf:
                decision_s, look_s = 0.0, 0.0
            elif look_s < now_s and self._decides:
                look_s = now_s  # nobody asks for links as they were
            t_s = min(decision_s, look_s)
            if t_s > now_s + self.ahead_s:
                self.known_s = now_s + self.ahead_s
                return True
            # links are looked at when they may have changed hands, too: at a decision that changed something
            changed = self._decide(t_s) if decision_s <= t_s else False
            if changed or look_s <= t_s:
                self._look(t_s)
            self.known_s = t_s
        return False

    def _next_decision_s(self) -> float:
        """The epoch at which the next decision takes effect."""
        if not self._decides:
            return math.inf
        at_s = self._first_s + self._decisions * self._interval_s
        epochs = math.ceil((at_s - TICK_S) / self._epoch_s)
        return max(round(epochs * self._epoch_s, 9), 0.0)

    def _order(self, t_s: float) -> None:
        """Has the network obey what is in force at a moment."""
        if len(self._barred) == 1:
            return
        index = bisect.bisect_right(self._barred, t_s, key=lambda one: one[0]) - 1
        self._network.obey(Orders(barred=set(self._barred[index][1])))

    def _decide(self, t_s: float) -> bool:
        self._order(t_s)
        serving = self._network.serving(t_s)
        while self._decides and self._next_decision_s() <= t_s:
            self._decisions += 1
        if not self._serving and not self._served:
            self._served = dict(serving)
        before, self._serving = self._serving, serving
        found = [
            Handover(t_s, terminal, before[terminal], after)
            for terminal, after in serving.items()
            if terminal in before and before[terminal] != after
        ]
        self.handovers += found
        return bool(found)

    def _look(self, t_s: float) -> None:
        self._order(t_s)
        links = self._network.at(t_s)
        self._looked_s = t_s
        self._times.append(t_s)
        self._links.append(links)
        self._step_s = max(self._step_s, self.ahead_s * len(links) / _MOST)

    def _forget(self, now_s: float) -> None:
        while self.handovers and self.handovers[0].t_s <= now_s:
            past = self.handovers.popleft()
            self._served[past.terminal] = past.after
        while len(self._times) > 1 and self._times[1] <= now_s:
            self._times.popleft()
            self._links.popleft()

    # --- what is asked --------------------------------------------------------------------------

    def serving(self, t_s: float) -> dict[str, str]:
        """Terminal -> who serves it at run time `t_s`, from now on and as far as is known."""
        found = dict(self._served)
        for one in self.handovers:
            if one.t_s > t_s:
                break
            found[one.terminal] = one.after
        return found

    def next_handover(self, terminal: str) -> Handover | None:
        """A terminal's next handover, None when there is none as far as is known."""
        return next((one for one in self.handovers if one.terminal == terminal), None)

    def links(self, t_s: float) -> list[NominalLink]:
        """Links in clear sky at the last moment looked at that is not after `t_s`; none before the first."""
        index = bisect.bisect_right(self._times, t_s) - 1
        return self._links[index] if index >= 0 else []
