"""Whether a world's parts fit together: names that must exist, kinds that are known.

Ranges of single values belong to whoever reads them; here is what needs the whole to be seen. Every
function raises `WorldError` with one sentence that says what is allowed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from emulator.errors import WorldError
from emulator.orders import Orders
from emulator.spec import FixedLink, Place, WorldSpec
from emulator.table import Adjustments

_KINDS = ("ground", "ship", "aerial", "satellite")
_ACCESS = ("terminal", "gateway", "station", "none")


def places(
    spec: WorldSpec, names: tuple[str, ...], satellites: Collection[str], skipped: Collection[str]
) -> None:
    """Places against radios and satellites; `names`: of all places, satellites included."""
    radios = {radio.name for radio in spec.radios}
    if len(radios) < len(spec.radios):
        raise WorldError("radios: two have the same name")
    for name, count in Counter(names).items():
        if count > 1:
            raise WorldError(f"place {name!r}: the name is used twice (places and satellites share names)")
    known = set(satellites)
    stations = any(place.access == "station" for place in spec.places)
    for place in spec.places:
        _one_place(place, radios, known, stations)
        if place.kind == "satellite" and place.satellite not in known:
            left_out = " (it cannot be propagated to this run)" if place.satellite in skipped else ""
            raise WorldError(
                f"place {place.id!r}: no satellite {place.satellite!r}{left_out}{hint(satellites)}"
            )


def _one_place(place: Place, radios: set[str], satellites: set[str], stations: bool) -> None:
    if place.kind not in _KINDS:
        raise WorldError(f"place {place.id!r}: kind is {place.kind!r}, allowed: {', '.join(_KINDS)}")
    if place.access not in _ACCESS:
        raise WorldError(f"place {place.id!r}: access is {place.access!r}, allowed: {', '.join(_ACCESS)}")
    if place.radio and place.radio not in radios:
        raise WorldError(f"place {place.id!r}: no radio {place.radio!r}{hint(radios)}")
    if place.access == "none":
        return
    if place.kind == "satellite" or not place.radio:
        raise WorldError(
            f"place {place.id!r}: access is {place.access!r}, which needs a radio and a place on the "
            "ground or in the air"
        )
    if not satellites and not (stations and place.access != "gateway"):
        raise WorldError(
            f"place {place.id!r}: access is {place.access!r}, but there is no constellation"
            + (" and no station" if place.access == "terminal" else "")
        )


def links(spec: WorldSpec, place_index: Mapping[str, int]) -> None:
    """Fixed links against places and radios."""
    radios = {radio.name for radio in spec.radios}
    by_id = {place.id: place for place in spec.places}
    given: set[frozenset[int]] = set()
    for link in spec.links:
        what = f"link {link.a} - {link.b}"
        for end in (link.a, link.b):
            if end not in place_index:
                raise WorldError(f"{what}: no place {end!r}{hint(place.id for place in spec.places)}")
        if link.radio and link.radio not in radios:
            raise WorldError(f"{what}: no radio {link.radio!r}{hint(radios)}")
        ends = frozenset((place_index[link.a], place_index[link.b]))
        if len(ends) == 1:
            raise WorldError(f"{what}: both ends are the same place")
        if ends in given:
            raise WorldError(f"{what}: given twice (a link has both directions)")
        given.add(ends)
        _beside_others(what, link, spec, by_id)


def _beside_others(what: str, link: FixedLink, spec: WorldSpec, by_id: Mapping[str, Place]) -> None:
    """A pair of places has one link at a time: no fixed one where access or satellites may make one."""
    # an end that is no place of the spec is a satellite
    ends = [by_id.get(end, Place(end, "satellite", satellite=end)) for end in (link.a, link.b)]
    aloft = [place for place in ends if place.kind == "satellite"]
    access = {place.access for place in ends}
    if aloft and link.radio:
        raise WorldError(
            f"{what}: has a radio, but {aloft[0].id!r} is on a satellite, whose radio links come from access"
        )
    if aloft and access & {"terminal", "gateway"}:
        raise WorldError(f"{what}: links of terminals and gateways to satellites come from access")
    linked = spec.constellation.isl != "none" or spec.constellation.interlayer != "none"
    if len(aloft) == len(ends) and linked:
        raise WorldError(f"{what}: links between satellites come from constellation.isl")
    if access == {"terminal", "station"}:
        raise WorldError(f"{what}: links of terminals to stations come from access")


def adjustments(given: Adjustments, place_index: Mapping[str, int], satellites: Collection[str]) -> None:
    """Names that adjustments use at the start. Names added later and unknown are passed over."""
    for table in (given.link_down, given.extra_delay_ms, given.extra_loss, given.rate_factor):
        for end in (end for link in table for end in link):
            if end not in place_index:
                raise WorldError(f"adjustments: no place {end!r}")
    known = set(satellites)
    for name in given.along_track_km:
        if name not in known:
            raise WorldError(f"adjustments: no satellite {name!r}{hint(satellites)}")


def orders(given: Orders, spec: WorldSpec, place_index: Mapping[str, int]) -> None:
    """Orders against the places there are. Names added later and unknown are passed over."""
    for link, penalty_ms in given.route_penalty_ms.items():
        what = f"orders: route_penalty_ms of {link[0]} > {link[1]}"
        for end in link:
            if end not in place_index:
                raise WorldError(f"{what}: no place {end!r}{hint(place_index)}")
        if not 0.0 <= penalty_ms < math.inf:
            raise WorldError(f"{what} is {penalty_ms!r}, it must not be below 0, and finite")
    terminals = {place.id for place in spec.places if place.access == "terminal"}
    others = {place.id for place in spec.places if place.access not in ("station", "none")}
    for terminal, provider in given.barred:
        what = f"orders: {provider!r} barred for {terminal!r}"
        if terminal not in terminals:
            raise WorldError(f"{what}: no terminal {terminal!r}{hint(terminals)}")
        if provider not in place_index or provider in others:
            providers = place_index.keys() - others
            raise WorldError(f"{what}: no satellite or station {provider!r}{hint(providers)}")


def hint(names: Iterable[str]) -> str:
    """The names there are, when they are few enough to help."""
    known = sorted(names)
    if not known:
        return ", there are none"
    shown = ", ".join(known[:6])
    return f", there is {shown}" if len(known) <= 6 else f", there are {len(known)}: {shown}, ..."
