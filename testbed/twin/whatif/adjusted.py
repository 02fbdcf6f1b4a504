"""A possible truth as the emulator's world takes it: a link that was never used is as others of its radio.

A twin believes something of each link that it has seen. Actions lead to others, and what modems take longer
than is published they take there too: without that, every link that nobody uses yet would look better than
those that are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.twin.belief import Belief, link_of
from testbed.twin.public import Public

if TYPE_CHECKING:
    from emulator.table import Adjustments

#: a modem takes at least this share of what is published
_LEAST_SHARE: Final = 0.05
#: and what is more than so many times that is not modems taking longer, but something about those links
_MOST_SHARE: Final = 2.0


def adjustments(truth: Belief, public: Public) -> Adjustments:
    """What the world does beyond what is published; delays that links of a radio share go to the radio.

    What they share is the lower median over its links: what was added to a single link is that link's own.
    """
    made = truth.adjustments()
    radios = {radio.name: radio for radio in public.world.radios}
    of_radio: dict[str, dict[tuple[str, str], float]] = {}
    for name, delay in truth.delay_ms.items():
        radio = _radio_of(link_of(name), public)
        if radio in radios and radios[radio].processing_ms > 0.0:
            of_radio.setdefault(radio, {})[link_of(name)] = delay.mean
    for radio, delays in of_radio.items():
        published_ms = radios[radio].processing_ms
        shared_ms = sorted(delays.values())[(len(delays) - 1) // 2]
        share = max(1.0 + shared_ms / published_ms, _LEAST_SHARE)
        if share <= _MOST_SHARE:
            made.processing_bias[radio] = share
            own = {link: delay_ms - (share - 1.0) * published_ms for link, delay_ms in delays.items()}
            made.extra_delay_ms |= {link: max(more, -share * published_ms) for link, more in own.items()}
    return made


def _radio_of(link: tuple[str, str], public: Public) -> str:
    """Name of a link's radio, empty without one: a station's own, a terrestrial link's, or its place's."""
    here = [public.places[end] for end in link if end in public.places]
    if len(here) == 2:
        for place in here:
            if place.access == "station":
                return place.radio
        ends = frozenset(link)
        return next((one.radio for one in public.world.links if frozenset((one.a, one.b)) == ends), "")
    return here[0].radio if here else ""
