"""The twin's belief about parameters at one moment, as plain data: what a what-if starts from.

Every number has a standard deviation beside it, so that a what-if can draw from the belief instead of
taking it for the truth. Learned elsewhere (`core` and its parts); carried out by nobody here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from emulator.table import Adjustments


class Estimate(msgspec.Struct, frozen=True):
    """Mean and standard deviation of a parameter, in the unit its table names."""

    mean: float
    sd: float = 0.0


class Belief(msgspec.Struct):
    """All parameters by name at run time `t_s`; what is not named is as published."""

    t_s: float = 0.0
    #: (place, "up"|"down"|"over"|"back") as "place/direction": attenuation by weather, dB
    attenuation_db: dict[str, Estimate] = {}
    #: the same keys: how much better than published a modem does, dB
    snr_bias_db: dict[str, Estimate] = {}
    #: by link `a>b`: capacity over that of the believed ModCod
    capacity_factor: dict[str, Estimate] = {}
    #: by link: delay beyond propagation and published processing, ms (the lasting bias and what was added)
    delay_ms: dict[str, Estimate] = {}
    #: by link: probability of loss per packet beyond what the radio explains
    loss: dict[str, Estimate] = {}
    #: links that are believed to carry nothing
    down: list[str] = []
    #: by satellite: km by which it runs ahead of its published elements
    along_track_km: dict[str, Estimate] = {}
    #: by server: service rate over the nominal one
    service_factor: dict[str, Estimate] = {}
    #: by node: clock offset, ms
    clock_offset_ms: dict[str, Estimate] = {}

    def adjustments(self) -> Adjustments:
        """The means, as the emulator's world takes them."""
        from emulator.table import Adjustments

        def by_link(values: dict[str, Estimate]) -> dict[tuple[str, str], float]:
            return {link_of(name): value.mean for name, value in values.items()}

        fades: dict[str, float] = {}
        for key, value in self.attenuation_db.items():
            place = key.rpartition("/")[0]
            fades[place] = max(fades.get(place, 0.0), value.mean)
        modems: dict[str, list[float]] = {}
        for key, value in self.snr_bias_db.items():
            modems.setdefault(key.rpartition("/")[0], []).append(value.mean)
        return Adjustments(
            attenuation_db=fades or None,
            link_down={link_of(name) for name in self.down},
            extra_delay_ms={k: max(v, 0.0) for k, v in by_link(self.delay_ms).items()},
            extra_loss={k: min(max(v, 0.0), 1.0) for k, v in by_link(self.loss).items()},
            rate_factor={k: max(v, 1e-3) for k, v in by_link(self.capacity_factor).items()},
            implementation_loss_bias_db={place: -sum(v) / len(v) for place, v in modems.items()},
            along_track_km={name: value.mean for name, value in self.along_track_km.items()},
        )


def link_of(name: str) -> tuple[str, str]:
    """The ends of a link named `a>b`."""
    source, _, sink = name.partition(">")
    return source, sink
