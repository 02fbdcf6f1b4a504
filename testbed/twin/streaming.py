"""How good the twin is, while it runs: `fidelity` records from its own predictions and what was observed.

`Fidelity` is given the records that the twin publishes and those it takes, in any order within a window, and
keeps running sums only: its memory grows with the number of links, nodes and quantities and not with
time. The same measures over a whole run, from its file, are in `scoring`. Nothing is judged here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from nodes.wire import Record, Value
from testbed.twin.observations import flow_name, numbers, window_index
from testbed.twin.predict import DELAY
from testbed.twin.running import Compared, Losses, Packets, Sums, crps_of

#: how often figures are published, s
EVERY_S: Final = 10.0
#: target of the figures of all targets of a quantity together
WHOLE: Final = "all"
#: quantity of what became of packets, of links and of flows
PACKETS: Final = "packets"
#: single values of a window that enter the CRPS
_CRPS_SAMPLES: Final = 40
#: windows for which predictions wait for what is observed
_WAITING: Final = 5
#: a target that was not observed for so many publications is forgotten
_FORGOTTEN: Final = 30

Key = tuple[str, str]


class _Scope:
    """The same sums twice: over the run, and since the last publication."""

    def __init__(self, target: str) -> None:
        self.run, self.recent = Sums(in_sequence=target != WHOLE), Sums(in_sequence=False)
        self.losses, self.recent_losses = Losses(), Losses()
        self.last = math.nan
        #: publications since something came
        self.idle = 0

    def renew(self) -> None:
        self.recent, self.recent_losses = Sums(in_sequence=False), Losses()


class Fidelity:
    """Running fidelity of a twin.

    `window_s`: length of its windows; `scored_from_s`: run time before which nothing counts (the part from
    which baselines are taken).
    """

    def __init__(self, window_s: float, scored_from_s: float, every_s: float = EVERY_S) -> None:
        self._window_ns = round(window_s * 1e9)
        self._scored_from_s = scored_from_s
        self._every_ns = round(every_s * 1e9)
        self._start_ns = 0
        self._due_ns = 0
        self._made: dict[int, dict[Key, Record]] = {}
        self._scopes: dict[Key, _Scope] = {}

    def begin(self, start_ns: int) -> None:
        """The run starts at `start_ns` on the host's monotonic clock."""
        self._start_ns = start_ns
        self._due_ns = start_ns + self._every_ns

    def take(self, records: Iterable[Record]) -> None:
        """Records that the twin published or took; what is none of its business is passed over."""
        scored_ns = self._start_ns + self._scored_from_s * 1e9
        for record in records:
            measurement = record.measurement
            if measurement == "prediction":
                self._made.setdefault(record.t_ns, {})[_key(record)] = record
            elif record.t_ns < scored_ns:
                continue
            elif measurement == "residual":
                self._residual(record)
            elif measurement == "link":
                self._link(record)
            elif measurement == "flow":
                number = numbers(record)
                lost = number.get("lost", 0.0)
                self._lost(flow_name(record), lost, lost + number.get("packets", 0.0))
        if len(self._made) > _WAITING:
            for old in sorted(self._made)[:-_WAITING]:
                del self._made[old]

    def _of(self, key: Key) -> _Scope:
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = _Scope(key[0])
        scope.idle = 0
        return scope

    def _residual(self, record: Record) -> None:
        key = _key(record)
        made = self._made.get(record.t_ns, {}).get(key)
        if made is None:
            return
        said, seen = made.fields, record.fields
        scope, observed = self._of(key), float(seen["observed"])
        window = Compared(
            float(said["mean"]), float(said["median"]), float(said["lo90"]), float(said["hi90"]), observed,
            float(said.get("baseline_constant", math.nan)),
            float(said.get("baseline_propagation", math.nan)), scope.last,
            float(seen.get("crps_climatology", math.nan)),
        )  # fmt: skip
        if not all(map(math.isfinite, window[:5])):
            return
        self._of((WHOLE, key[1]))
        scope.last = observed
        scope.recent.add(window)  # the other sums of it follow when they are asked for
        scope.run.follow(window)

    def _link(self, record: Record) -> None:
        link, number = record.tags.get("link", ""), numbers(record)
        lost, out = number.get("lost", 0.0), number.get("packets_out", 0.0)
        self._lost(link, lost, lost + out)
        window = window_index(record.t_ns, self._start_ns, self._window_ns)
        made = self._made.get(self._start_ns + window * self._window_ns, {}).get((link, DELAY))
        if made is None or not made.samples or not record.samples:
            return
        low = float(made.fields.get("packet_lo90", -math.inf))
        high = float(made.fields.get("packet_hi90", math.inf))
        inside = sum(1 for value in record.samples if low <= value <= high)
        crps = crps_of(record.samples[:_CRPS_SAMPLES], made.samples)
        packets = Packets.of(record.samples, made.samples, crps, inside)
        scope, whole = self._of((link, DELAY)), self._of((WHOLE, DELAY))
        for sums in (scope.run, scope.recent, whole.run, whole.recent):
            sums.add_packets(packets)

    def _lost(self, target: str, lost: float, sent: float) -> None:
        if sent <= 0.0:
            return
        for name in (target, WHOLE):
            scope = self._of((name, PACKETS))
            scope.losses.add(lost, sent)
            scope.recent_losses.add(lost, sent)

    # --- what is said ---------------------------------------------------------------------------

    def records(self, now_ns: int) -> list[Record]:
        """The figures when they are due, else nothing: of the run so far and of what came since the last."""
        if now_ns < self._due_ns:
            return []
        self._due_ns += ((now_ns - self._due_ns) // self._every_ns + 1) * self._every_ns
        out: list[Record] = []
        self._merge()
        for (target, quantity), scope in list(self._scopes.items()):
            scope.idle += 1
            if scope.idle > _FORGOTTEN:
                del self._scopes[(target, quantity)]
            if scope.idle > 1:
                continue
            for name, figures in (
                ("recent", _figures(scope.recent, scope.recent_losses)),
                ("run", _figures(scope.run, scope.losses)),
            ):
                if figures:
                    tags = {"target": target, "quantity": quantity, "over": name}
                    out.append(Record(now_ns, "fidelity", tags, figures))
            scope.renew()
        return out

    def _merge(self) -> None:
        """Lets what came of each target since the last publication into the sums of all, and of the run."""
        for (target, quantity), scope in self._scopes.items():
            if target != WHOLE and len(scope.recent):
                self._scopes[WHOLE, quantity].recent.merge(scope.recent)
        for scope in self._scopes.values():
            scope.run.merge(scope.recent)


def _key(record: Record) -> Key:
    return record.tags.get("target", ""), record.tags.get("quantity", "")


def _figures(sums: Sums, losses: Losses) -> dict[str, Value]:
    """What is finite of both."""
    found = sums.figures() if len(sums) or sums.packets[2] else {}
    if losses.sent:
        found = {**found, "n": losses.sent, **losses.figures()}
    return {name: value for name, value in found.items() if math.isfinite(value)}
