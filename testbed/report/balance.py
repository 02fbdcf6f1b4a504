"""The books of a run: whatever entered the channel was delivered, dropped by name, or is still inside.

Compares counters that were kept apart from each other (per link, in total, at the nodes); it repairs
nothing and forgives nothing, because a sum that is off by one packet means that a packet was lost unseen.
"""

from __future__ import annotations

from typing import Any

#: fates that are not a drop
_NOT_DROPS = ("forwarded", "delivered")


def conservation(info: dict[str, Any]) -> dict[str, Any]:
    """The report's `conservation` from the content of run.json.

    `balanced` is True only if every link, the channel's totals and the nodes' own counters agree exactly.
    """
    channel = info.get("channel") or {}
    counters = channel.get("counters") or {}
    if "ingress" not in counters:
        return {
            "balanced": False,
            "text": "the channel left no counters, so nothing can be balanced",
            "total": None,
            "classes": {},
            "links": {},
            "nodes": _nodes(info, None),
        }
    total = _total(counters)
    booked = channel.get("links") or {}
    links = {name: _link(row) for name, row in booked.items()}
    nodes = _nodes(info, total["ingress"] - total["ip_packets"])
    wrong_links = [name for name, row in links.items() if row["difference"] != 0]
    faults = []
    if channel.get("final") is False:
        faults.append("the channel ended before its last count, so its figures are those of a moment before")
    if total["difference"]:
        surplus = "missing" if total["difference"] > 0 else "too many"
        faults.append(f"{abs(total['difference']):,} packet(s) {surplus} in total")
    if wrong_links:
        faults.append(f"{len(wrong_links)} link(s) do not balance ({', '.join(wrong_links[:4])})")
    if not nodes["agrees"]:
        faults.append(nodes["text"])
    text = "; ".join(faults) if faults else f"{total['ingress']:,} packets accounted for, none missing"
    return {
        "balanced": not faults,
        "text": text,
        "total": total,
        "classes": _classes(booked),
        "links": links,
        "nodes": nodes,
    }


def _total(counters: dict[str, Any]) -> dict[str, Any]:
    fates = counters.get("fates") or {}
    dropped = {name: int(n) for name, n in fates.items() if name not in _NOT_DROPS and n}
    ingress, delivered = int(counters["ingress"]), int(counters.get("delivered", 0))
    in_flight = int(counters.get("in_flight", 0))
    copied = int(counters.get("copied", 0))
    return {
        "ingress": ingress,
        "copied": copied,
        "ip_packets": int(counters.get("ip_packets", 0)),
        "delivered": delivered,
        "damaged": int(counters.get("damaged", 0)),
        "dropped": dropped,
        "in_flight": in_flight,
        "difference": ingress + copied - delivered - sum(dropped.values()) - in_flight,
    }


def _link(row: dict[str, Any]) -> dict[str, Any]:
    drops = {name: int(n) for name, n in (row.get("drops") or {}).items() if n}
    entered, left = int(row.get("packets_in", 0)), int(row.get("packets_out", 0))
    in_flight = int(row.get("in_flight", 0))
    copied, rerouted = int(row.get("copied", 0)), int(row.get("rerouted", 0))
    return {
        "packets_in": entered,
        "copied": copied,
        "packets_out": left,
        "dropped": drops,
        "rerouted": rerouted,
        "in_flight": in_flight,
        "difference": entered + copied - left - rerouted - sum(drops.values()) - in_flight,
    }


def _classes(links: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Packet-hops by traffic class, summed over the links: in, out, and dropped by cause."""
    classes: dict[str, dict[str, Any]] = {}
    for row in links.values():
        for name, counted in (row.get("classes") or {}).items():
            mine = classes.setdefault(name, {"packets_in": 0, "packets_out": 0, "dropped": {}})
            for key in ("packets_in", "packets_out"):
                mine[key] += int(counted.get(key, 0))
            for cause, count in (counted.get("drops") or {}).items():
                mine["dropped"][cause] = mine["dropped"].get(cause, 0) + int(count)
    return dict(sorted(classes.items(), reverse=True))


def _nodes(info: dict[str, Any], ingress: int | None) -> dict[str, Any]:
    """Packets the nodes counted as sent, against those that entered the channel and are not IP's.

    Nodes that did not finish, or were started again after such an end, take their last count with them:
    what they sent is then a remainder, which must not be less than their last heartbeat said.
    """
    counted = remembered = 0
    unknown = []
    for name, node in (info.get("nodes") or {}).items():
        sent = node.get("sent")
        if node.get("status") == "finished" and node.get("counted", True) and isinstance(sent, int):
            counted += sent
        elif name in (info.get("ports") or {name: 0}):
            unknown.append(name)
            remembered += sent if isinstance(sent, int) else 0
    row: dict[str, Any] = {
        "sent_by_finished": counted,
        "sent_by_others_at_least": remembered,
        "others": unknown,
    }
    if ingress is None:
        return row | {"agrees": False, "difference": None, "text": "nothing to compare the nodes with"}
    difference = ingress - counted
    row["difference"] = difference
    if not unknown:
        agrees = difference == 0
        text = f"nodes sent {counted:,}, {ingress:,} entered the channel"
    else:
        agrees = difference >= remembered
        text = (
            f"finished nodes sent {counted:,} of the {ingress:,} packets that entered; {difference:,} are "
            f"those of {', '.join(unknown)}, whose last heartbeat said {remembered:,}"
        )
    return row | {"agrees": agrees, "text": text}
