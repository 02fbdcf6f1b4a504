"""The radio channels a twin believes in: one by place and direction, made when a link first needs it.

What is known beforehand of a channel comes from the published world: whether surroundings take a share of
the signal that comes and goes, and at which station a terminal is. Their beliefs are `radio`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from emulator.spec import WorldSpec
from testbed.twin.events import Channel
from testbed.twin.nominal import NominalLink
from testbed.twin.radio import RadioChannel


class Channels:
    """The channels by (place, direction).

    `threshold`: of their change detection; `attenuation_of_fall`: what lies behind a fall of the SNR of a
    place and direction, dB.
    """

    def __init__(
        self, world: WorldSpec, threshold: float, attenuation_of_fall: Callable[[str, str, float], float]
    ) -> None:
        self._threshold = threshold
        self._attenuation_of_fall = attenuation_of_fall
        self._stations = {place.id for place in world.places if place.access == "station"}
        around = {radio.name for radio in world.radios if radio.environment != "none"}
        #: places where sight comes and goes: a fade there is no change of anything, nor what it entails
        self.surrounded = {place.id for place in world.places if place.radio in around}
        self._station_of: dict[Channel, str] = {}
        self.all: dict[Channel, RadioChannel] = {}

    def of(self, link: NominalLink) -> RadioChannel:
        """The channel of a link with a radio.

        A terminal that goes to or leaves a station meets another modem: its bias is to be learned anew. (The
        modems of satellites are taken to be as published.)
        """
        key = (link.place, link.direction)
        far = link.sink if link.source == link.place else link.source
        station = far if far in self._stations else ""
        found = self.all.get(key)
        if found is None:
            threshold = math.inf if link.place in self.surrounded else self._threshold
            found = self.all[key] = RadioChannel(threshold, partial(self._attenuation_of_fall, *key))
        elif self._station_of[key] != station:
            found.moved()
        self._station_of[key] = station
        return found
