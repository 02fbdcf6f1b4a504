"""For tests: places in a row, namespaces at some of them, and a real channel between their TUNs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from emulator.dataplane import ip_frames
from emulator.dataplane.channel import Channel
from emulator.dataplane.ip_plane import WAITING_FIRST, WAITING_LAST, make_ip_plane
from emulator.epochs import LinkUpdates
from emulator.inet.addresses import host_ipv4, host_ipv6
from emulator.layout import TAKEN, make_network
from emulator.links.model import LinkModel, ModelSet
from testbed.bench._ip_ends import End, result
from tests.emulator.chain import table

FIRST_PORT = 4
#: what every program starts with
_PREAMBLE = """
import hashlib, json, select, socket, struct, sys, time
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, IP_MTU = 10, 2, 11, 14
IPV6_RECVERR, IPV6_MTU, MSG_ERRQUEUE = 25, 24, 0x2000

def is_v6(host):
    return ":" in host

def sender_to(host, port=9):
    # a UDP socket that queues the errors that come back (ip(7) and ipv6(7))
    one = socket.socket(socket.AF_INET6 if is_v6(host) else socket.AF_INET, socket.SOCK_DGRAM)
    if is_v6(host):
        one.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        one.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    one.connect((host, port))
    return one

def told(one):
    # [type, code, from whom, what it adds] of the next error, None when there is none
    poller = select.poll()
    poller.register(one, 0)
    if not poller.poll(10_000):
        return None
    _, ancillary, _, _ = one.recvmsg(2048, 512, MSG_ERRQUEUE)
    for _, kind, data in ancillary:
        if kind in (IP_RECVERR, IPV6_RECVERR):
            _, _, icmp_type, code, _, info, _, = struct.unpack_from("IBBBBII", data)
            (family,) = struct.unpack_from("H", data, 16)
            address = data[24:40] if family == socket.AF_INET6 else data[20:24]
            return [icmp_type, code, socket.inet_ntop(family, address), info]
"""


class TunWorld:
    """Port FIRST_PORT + n (address n, n from 1 on) at a place for each of `at`; `ends[n]` its namespace."""

    def __init__(
        self,
        places: int = 3,
        at: Sequence[int] = (0, -1),
        models: Sequence[LinkModel] = (),
        *,
        pool: dict[str, int] | None = None,
        mtu: int = 1500,
    ) -> None:
        self.places = places
        self.at = [place % places for place in at]
        self.net = make_network(
            places, len(at), FIRST_PORT + len(at) + 2, slots=2048, models=ModelSet(tuple(models))
        )
        self.channel = Channel(self.net, realtime=False, ip_ports_from=FIRST_PORT)
        if pool is not None:
            ip = make_ip_plane(2048, FIRST_PORT, **pool, lateness=self.channel._plane.measures.lateness)
            ip.poll[0] = self.channel._plane.ip.poll[0]
            self.channel._plane = self.channel._plane._replace(ip=ip)
        self.ip = self.channel._plane.ip
        self.ends = {
            number: End(host_ipv4(number), host_ipv6(number), mtu) for number in range(1, len(at) + 1)
        }
        self._updates = LinkUpdates(self.net, [f"place-{n}" for n in range(places)], 1)
        self.links()

    def __enter__(self) -> TunWorld:
        started: list[End] = []
        try:
            for end in self.ends.values():
                started.append(end.__enter__())
        except BaseException:
            for end in started:
                end.close()
            self.channel.stop()
            raise
        self.channel.start()
        for number, end in self.ends.items():
            self.channel.add_port(FIRST_PORT + number, self.at[number - 1], number - 1)
            self.channel.attach_ip(FIRST_PORT + number, end.descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.stop()
        for end in self.ends.values():
            end.close()

    def links(self, routed: bool = True, **columns: Any) -> None:
        """From now on every link is like this: see `chain.table`. Not `routed`: there is no way anywhere."""
        plain = {"rate_bps": 1e9, "delay_ns": 100_000, "queue_packets": 2000, "queue_bytes": 3_000_000}
        made = table(self.places, **(plain | columns))
        made.next_hop = np.full((self.places, len(self.at)), -1, np.int32)
        for host, place in enumerate(self.at):
            for here in range(self.places if routed else 0):
                if here < place:
                    made.next_hop[here, host] = here
                elif here > place:
                    made.next_hop[here, host] = self.places - 1 + here - 1
        posted = self._updates.posted
        self._updates.post(time.monotonic_ns(), made)
        if self.channel._threads:
            wait_for(lambda: int(self.net.mailbox[TAKEN]) > posted)

    def start(self, number: int, code: str, *arguments: object) -> subprocess.Popen[str]:
        """Start Python code in a namespace: `sys.argv[1:]` are the arguments."""
        text = _PREAMBLE + textwrap.dedent(code)
        return self.ends[number].start(sys.executable, "-c", text, *map(str, arguments))

    def run(self, number: int, code: str, *arguments: object) -> Any:
        """Run Python code in a namespace to its end; what its last line says, as JSON."""
        return result(self.start(number, code, *arguments))

    def fates(self) -> dict[str, int]:
        """Packets by what became of them, those that are none left out."""
        counted = self.channel.counters()
        fates = counted["fates"] | {"delivered": counted["delivered"], "copied": counted["copied"]}
        return {name: count for name, count in fates.items() if count}

    def settle(self) -> None:
        """Wait until nothing is in flight, then see that the books balance and no frame is held."""
        wait_for(lambda: self.channel.counters()["in_flight"] == 0)
        self.channel.stop()
        counted = self.channel.counters()
        ended = counted["delivered"] + sum(counted["fates"].values()) + counted["in_flight"]
        assert int(self.net.entered.sum()) + counted["copied"] == ended
        if counted["in_flight"] == 0:
            assert (
                ip_frames.frames_in_use(self.ip) == self.ip.words[WAITING_LAST] - self.ip.words[WAITING_FIRST]
            )


def wait_for(condition: Any, patience_s: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.002)
