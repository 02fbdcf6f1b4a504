"""What is going on that was not foreseen: turns the alarms of all channels into events, and ends them.

Holds the list of active events and the rules by which alarms join, wait for each other, are explained by
an event that is already known, or are dismissed. The statistics are in the channels themselves.
"""

from __future__ import annotations

from statistics import median
from typing import Protocol

from nodes.wire import Record
from testbed.twin.attribution import (
    ATTENUATION,
    LINK_DOWN,
    Event,
    LinkFall,
    Size,
    common_place,
    link_down_event,
    pooled_size,
    server_event,
    shared_end,
)
from testbed.twin.detect import Alarm
from testbed.twin.radio import SMALLEST_FADE_DB, Phase, RadioChannel
from testbed.twin.servers import SMALLEST_CHANGE, ServerBelief
from testbed.twin.watch import SilenceWatch

Channel = tuple[str, str]  # place, direction

#: alarms whose onsets lie closer than this belong to one cause, s
_TOGETHER_S = 2.0
#: a share of the threshold at which a channel is taken along by another's alarm
_TAKEN_ALONG = 0.5
#: after a fade a link may still drain what it queued: no other alarm is believed for so long, s
_AFTERMATH_S = 5.0
_BACK_WINDOWS = 3
#: windows without a report after which a faded channel is not waited for any more
_FORGOTTEN_WINDOWS = 10
#: time between two `estimate` records of an event, s
_TELL_S = 1.0


class Explains(Protocol):
    """Who else may know why a link behaves as it does."""

    def explains(self, kind: str, target: str) -> bool:
        """Whether an alarm of this kind at this link, place or node is explained already."""


class LinkWatch(Protocol):
    """A watch over one link that has told of a change, or not yet."""

    @property
    def ended_s(self) -> float:
        """Run time since which what was usual is back."""

    @property
    def changed(self) -> bool:
        """Whether a change is known and goes on."""

    @property
    def over(self) -> bool:
        """Whether what was usual is back."""

    def size(self) -> Size:
        """How large the change is."""

    def clear(self) -> None:
        """What was usual is back, and taken for it."""


_Waiting = tuple[str, str, str, Alarm, Size]


def _together(waiting: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Of alarms that wait: those that belong to the first one, and the others."""
    kind, unit, first, alarm, _ = waiting[0]
    mine: list[_Waiting] = []
    rest: list[_Waiting] = []
    for one in waiting:
        close = abs(one[3].onset_s - alarm.onset_s) <= _TOGETHER_S
        shares = bool(set(one[2].split(">")) & set(first.split(">")))
        (mine if one[:2] == (kind, unit) and close and shares else rest).append(one)
    return mine, rest


class Events:
    """Active events, and the fades that wait one window for others to join them."""

    def __init__(self, window_s: float) -> None:
        self.active: list[Event] = []
        #: asked before a congestion by load is told: a flood or another cause may be behind it
        self.explained_by: list[Explains] = []
        self._waiting: list[_Waiting] = []
        self._window_s = window_s
        self._fading: dict[Channel, Alarm] = {}
        self._fading_since = 0.0
        self._unseen: dict[Channel, int] = {}
        self._silent: dict[str, float] = {}
        self._silent_since = 0.0
        self._faded_until: dict[str, float] = {}

    def find(self, kind: str, link_or_target: str) -> Event | None:
        """The active event of a kind that names a target or a link."""
        for event in self.active:
            if event.kind == kind and (event.target == link_or_target or link_or_target in event.links):
                return event
        return None

    def estimates(self, now_ns: int, now_s: float) -> list[Record]:
        """How large the active deviations are by now, each about once a second."""
        records = []
        for event in self.active:
            if self._due(event, now_s) and event.kind != LINK_DOWN:
                event.told_s = now_s
                records.append(event.estimate(now_ns, now_s))
        return records

    def _due(self, event: Event, now_s: float) -> bool:
        """Whether its size is to be told in this window, and so to be worked out."""
        return now_s >= event.told_s + _TELL_S - 0.5 * self._window_s

    def explains(self, place: str, channels: dict[Channel, RadioChannel], now_s: float) -> bool:
        """Whether a fade at `place`, suspected, known or just over, may explain a link's behaviour."""
        if now_s < self._faded_until.get(place, -1.0):
            return True
        return any(
            channel.phase is Phase.FADED or channel.cusum.level(-1) > 0.3
            for direction in ("up", "down", "over", "back")
            if (channel := channels.get((place, direction))) is not None
        )

    # --- fades --------------------------------------------------------------------------------

    def fades(
        self,
        alarms: dict[Channel, Alarm],
        channels: dict[Channel, RadioChannel],
        seen: set[Channel],
        falls: list[LinkFall],
        now_ns: int,
        now_s: float,
    ) -> list[Record]:
        """Alarms of radio channels of one window -> detections and recoveries."""
        for key, alarm in alarms.items():
            if alarm.sign > 0:
                self._risen(key, channels[key])
            elif not self._join(key, alarm, channels):
                if not self._fading:
                    self._fading_since = now_s
                self._fading[key] = alarm
        records = []
        if self._fading and now_s - self._fading_since > 0.5 * self._window_s:
            records = self._conclude(channels, falls, now_ns, now_s)
        return records + self._fades_over(channels, seen, now_ns, now_s)

    def _risen(self, key: Channel, channel: RadioChannel) -> None:
        """The SNR is better than believed: whatever was wrong before, this is the normal state now."""
        self._fading.pop(key, None)
        channel.dismiss()

    def _join(self, key: Channel, alarm: Alarm, channels: dict[Channel, RadioChannel]) -> bool:
        for event in self.active:
            if event.kind != ATTENUATION:
                continue
            if key[0] in event.places or abs(alarm.onset_s - event.onset_s) <= _TOGETHER_S:
                event.places.add(key[0])
                channels[key].adopt()
                return True
        return False

    def _conclude(
        self, channels: dict[Channel, RadioChannel], falls: list[LinkFall], now_ns: int, now_s: float
    ) -> list[Record]:
        """One window after the first alarm: name the fade, or dismiss it as too small."""
        alarms, self._fading = self._fading, {}
        taken = dict(alarms)
        onset_s = min(alarm.onset_s for alarm in alarms.values())
        for key, channel in channels.items():
            begun = channel.cusum.onset_s(-1)
            if key not in taken and channel.phase is Phase.WATCHING and abs(begun - onset_s) <= _TOGETHER_S:
                at_alarmed_place = any(key[0] == place for place, _ in alarms)
                if channel.cusum.level(-1) >= (0.2 if at_alarmed_place else _TAKEN_ALONG):
                    taken[key] = Alarm(-1, begun, channel.cusum.level(-1), 1.0)
        small = [key for key in taken if channels[key].size()[0] < SMALLEST_FADE_DB]
        for key in small:
            if key in alarms:
                channels[key].dismiss()
            del taken[key]
        if not taken:
            return []
        strongest = max((a for k, a in alarms.items() if k in taken), key=lambda a: a.statistic, default=None)
        strongest = strongest or next(iter(alarms.values()))
        places = {place for place, _ in taken}
        where, links = common_place(places, falls)
        for key in taken:
            channels[key].adopt()
        size = pooled_size([channels[key].attenuation() for key in taken])
        event = Event(
            ATTENUATION, where, where, median(a.onset_s for a in taken.values()), now_s, size.mean, size.sd,
            "dB", strongest.statistic, strongest.threshold, links, places,
        )  # fmt: skip
        event.resize(size)
        self.active.append(event)
        return [event.record("detection", now_ns)]

    def _fades_over(
        self, channels: dict[Channel, RadioChannel], seen: set[Channel], now_ns: int, now_s: float
    ) -> list[Record]:
        records = []
        for event in [e for e in self.active if e.kind == ATTENUATION]:
            members = {
                key: channel
                for key, channel in channels.items()
                if key[0] in event.places and channel.phase is Phase.FADED
            }
            for key in members:
                self._unseen[key] = 0 if key in seen else self._unseen.get(key, 0) + 1
            heard = [c for key, c in members.items() if key in seen and not c.over]
            if heard and self._due(event, now_s):
                event.resize(pooled_size([channel.attenuation() for channel in heard]))
            if not all(c.over or self._unseen[key] > _FORGOTTEN_WINDOWS for key, c in members.items()):
                continue
            ended_s = max((c.ended_s for c in members.values() if c.over), default=now_s)
            for key, channel in members.items():
                channel.clear()
                self._unseen.pop(key, None)
            for place in event.places:
                self._faded_until[place] = now_s + _AFTERMATH_S
            self.active.remove(event)
            event.settle()
            records.append(event.record("recovery", now_ns, ended_s=ended_s, recovered_s=now_s))
        return records

    # --- servers ------------------------------------------------------------------------------

    def server(
        self, name: str, place: str, belief: ServerBelief, alarm: Alarm | None, now_ns: int, now_s: float
    ) -> list[Record]:
        """A server's alarm, or its return to the old speed."""
        event = self._of_server(name)
        if alarm is not None:
            factor, sd = belief.likely_size(alarm.onset_s)
            if abs(factor - 1.0) < SMALLEST_CHANGE:
                belief.factor_log.variance += 0.05**2
                belief.cusum.reset()
                return []
            event = server_event(name, place, alarm, factor, sd, now_s)
            belief.adopt(alarm.onset_s)
            event.resize(belief.size())
            self.active.append(event)
            return [event.record("detection", now_ns)]
        if event is not None and not belief.over:
            event.resize(belief.size())
        if event is None or not belief.over:
            return []
        belief.clear()
        self.active.remove(event)
        event.settle()
        return [event.record("recovery", now_ns, ended_s=belief.ended_s, recovered_s=now_s)]

    def _of_server(self, name: str) -> Event | None:
        return next((event for event in self.active if event.target == name and event.unit == "factor"), None)

    # --- silent links -------------------------------------------------------------------------

    def silence(
        self, watches: dict[str, SilenceWatch], needed: int, now_ns: int, now_s: float
    ) -> list[Record]:
        """Links that fell silent for `needed` windows -> one event; links that came back."""
        for link, watch in watches.items():
            if not watch.down and watch.down_windows >= needed:
                if not self._silent:
                    self._silent_since = now_s
                self._silent[link] = watch.onset_s
        records = []
        if self._silent and now_s - self._silent_since > 0.5 * self._window_s:
            links = sorted(link for link in self._silent if watches[link].down_windows >= needed)
            onset_s = min(self._silent.values())
            self._silent = {}
            if links:
                windows = max(watches[link].down_windows for link in links)
                event = link_down_event(links, onset_s, now_s, windows, needed, self._window_s)
                self.active.append(event)
                for link in links:
                    watches[link].down = True
                records.append(event.record("detection", now_ns))
        for event in [e for e in self.active if e.kind == LINK_DOWN]:
            members = [watches[link] for link in event.links if link in watches]
            if all(watch.back_windows >= _BACK_WINDOWS for watch in members):
                for watch in members:
                    watch.down = False
                ended_s = max((watch.ended_s for watch in members), default=now_s)
                self.active.remove(event)
                records.append(event.record("recovery", now_ns, ended_s=ended_s, recovered_s=now_s))
        return records

    # --- links --------------------------------------------------------------------------------

    def link(
        self,
        kind: str,
        unit: str,
        link: str,
        watch: LinkWatch,
        alarm: Alarm | None,
        now_ns: int,
        now_s: float,
    ) -> list[Record]:
        """What a watch over one link says of a window: an alarm, which waits for others of the same window
        (see `conclude`), a size that is known better, or that it is over.
        """
        if alarm is not None:
            self._waiting.append((kind, unit, link, alarm, watch.size()))
            return []
        if not watch.changed:
            return []
        event = next(
            (e for e in self.active if e.unit == unit and e.kind == kind and link in e.members), None
        )
        if not watch.over:
            if event is not None and self._due(event, now_s):
                event.members[link] = watch.size()
                event.resize(pooled_size([event.members[name] for name in event.links]))
            return []
        ended_s = watch.ended_s
        watch.clear()
        if event is None or link not in event.links:
            return []
        if len(event.links) > 1:
            event.links.remove(link)
            return []
        self.active.remove(event)
        event.settle()
        return [event.record("recovery", now_ns, ended_s=ended_s, recovered_s=now_s)]

    def conclude(self, now_ns: int, now_s: float) -> list[Record]:
        """Alarms of one window: those of one kind that began together at one end are one cause."""
        waiting, self._waiting = self._waiting, []
        records = []
        while waiting:
            kind, unit, link, alarm, size = waiting[0]
            together, waiting = _together(waiting)
            known = self._begun(kind, unit, link, alarm)
            if known is not None:
                known.members.update((name, its_size) for _, _, name, _, its_size in together)
                known.links += [name for _, _, name, _, _ in together if name not in known.links]
                continue
            names = [name for _, _, name, _, _ in together]
            where = shared_end(names)
            event = Event(
                kind, where, where, min(a.onset_s for _, _, _, a, _ in together), now_s, size.mean, size.sd,
                unit, alarm.statistic, alarm.threshold, names, low95=size.low95, high95=size.high95,
                members={name: its_size for _, _, name, _, its_size in together},
            )  # fmt: skip
            event.resize(pooled_size(list(event.members.values())))
            self.active.append(event)
            records.append(event.record("detection", now_ns))
        return records

    def _begun(self, kind: str, unit: str, link: str, alarm: Alarm) -> Event | None:
        """An active event that an alarm at a link belongs to."""
        for event in self.active:
            if (
                event.kind == kind
                and event.unit == unit
                and abs(event.onset_s - alarm.onset_s) <= _TOGETHER_S
            ):
                ends = {end for name in event.links for end in name.split(">")}
                if ends & set(link.split(">")):
                    return event
        return None

    def forget_link(self, link: str) -> None:
        """The link is gone by plan: nothing can be said about it any more."""
        self._silent.pop(link, None)
        for event in list(self.active):
            if link in event.links and (event.kind == LINK_DOWN or event.members):
                event.links.remove(link)
                if not event.links:
                    self.active.remove(event)
