"""Addresses and routes of a namespace whose one way out is a TUN interface; by rtnetlink, no `ip` needed."""

from __future__ import annotations

import os
import socket
from typing import Final

#: packets that wait in the interface for the plant to read them, before the kernel drops: 7 MB of 1,500 bytes
QUEUE_PACKETS: Final = 5000
_LOOPBACK: Final = 1  # its index in every namespace
_IFA_F_NODAD: Final = 0x02  # linux/if_addr.h
_SETTINGS: Final = "/proc/sys/net/ipv6/conf"


def has_ipv6() -> bool:
    """Whether the kernel speaks IPv6."""
    return os.path.isdir(_SETTINGS)


def be_quiet() -> None:
    """Let interfaces made from here on send nothing by themselves: no link-local address, no DAD, no RS."""
    if not has_ipv6():
        return
    for interface in ("all", "default"):
        for setting, value in (
            ("disable_ipv6", 0),
            ("accept_ra", 0),
            ("accept_dad", 0),
            ("dad_transmits", 0),
            ("router_solicitations", 0),
            ("addr_gen_mode", 1),  # IN6_ADDR_GEN_MODE_NONE
        ):
            with open(f"{_SETTINGS}/{interface}/{setting}", "w", encoding="ascii") as file:
                file.write(str(value))


def configure(name: str, ipv4: str, ipv6: str, mtu: int, queue_packets: int = QUEUE_PACKETS) -> None:
    """Give an interface its addresses, bring it and the loopback up, and route everything through it.

    Parameters
    ----------
    name : of the interface, in this process's network namespace
    ipv4, ipv6 : its addresses (/32 and /128); IPv6 is left out where the kernel has none
    mtu : bytes, 1280 (RFC 8200, section 5) to 65,535
    queue_packets : length of its transmit queue

    OSError or pyroute2's NetlinkError when the kernel refuses.
    """
    from pyroute2 import IPRoute  # here: the server needs none of it

    with IPRoute() as route:
        route.link("set", index=_LOOPBACK, state="up")
        (index,) = route.link_lookup(ifname=name)
        route.link("set", index=index, mtu=mtu, txqlen=queue_packets)
        route.addr("add", index=index, address=ipv4, prefixlen=32)
        if has_ipv6():
            route.addr("add", index=index, address=ipv6, prefixlen=128, flags=_IFA_F_NODAD)
        route.link("set", index=index, state="up")
        route.route("add", family=socket.AF_INET, dst="default", oif=index, prefsrc=ipv4, scope="link")
        if has_ipv6():
            route.route("add", family=socket.AF_INET6, dst="default", oif=index)


def is_ours(ipv4: str) -> bool:
    """Whether an address belongs to this process's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ipv4, 0))
        except OSError:
            return False
    return True
