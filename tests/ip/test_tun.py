"""TUN devices in namespaces of their own: made as the data plane wants them, and told from anything else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from testbed.ip import tun
from tests.ip.conftest import GIVE_UP_S, ROOT

#: in new namespaces
PRELUDE = """
import fcntl, os, struct
from testbed.ip import interface, namespace, tun
namespace.enter_new()
"""
#: a TUN without the virtio header
BARE = """
fd = os.open(tun.DEVICE, os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"bare", 0x1001))
"""


def _inside(program: str) -> str:
    """What a program prints in namespaces of its own; its error's last line when it fails."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )
    return result.stdout.strip() if result.returncode == 0 else result.stderr.strip().splitlines()[-1]


def test_a_tun_is_known_by_its_name(namespaces: None) -> None:
    assert _inside("print(tun.check(tun.create('tun7')))") == "tun7"


def test_reading_does_not_wait(namespaces: None) -> None:
    assert _inside("print(os.get_blocking(tun.create('tun0')))") == "False"


def test_the_kernel_leaves_checksums_and_segmentation_to_us(namespaces: None) -> None:
    # ETHTOOL_GTXCSUM and ETHTOOL_GTSO (linux/ethtool.h) through SIOCETHTOOL
    program = """
import ctypes, socket
tun.create("tun0")
asked = []
for command in (0x16, 0x1E):
    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
    request = struct.pack("16sP16x", b"tun0", ctypes.addressof(value))
    with socket.socket() as probe:
        fcntl.ioctl(probe, 0x8946, request)
    asked.append(struct.unpack("II", value.raw[:8])[1])
print(asked)
"""
    assert _inside(program) == "[1, 1]"


def test_the_interface_goes_with_its_descriptor(namespaces: None) -> None:
    program = "import socket; fd = tun.create('tun0'); os.close(fd); print(socket.if_nameindex())"
    assert _inside(program) == "[(1, 'lo')]"


def test_a_name_that_is_taken_is_told(namespaces: None) -> None:
    assert "[Errno 16]" in _inside("fd = tun.create('tun0'); tun.create('tun0')")


@pytest.mark.parametrize("name", ["", "a" * 16])
def test_a_name_must_fit(name: str) -> None:
    with pytest.raises(ValueError, match=f"interface name '{name}': must have 1 to 15 characters"):
        tun.create(name)


def test_a_tun_without_the_virtio_header_is_not_one_of_ours(namespaces: None) -> None:
    assert "NotATunError: the TUN has flags 0x1001" in _inside(BARE + "tun.check(fd)")


def test_another_length_of_header_is_told(namespaces: None) -> None:
    program = "fd = tun.create('tun0'); fcntl.ioctl(fd, 0x400454D8, struct.pack('i', 12)); tun.check(fd)"
    assert "a header of 12 bytes, but must have" in _inside(program)


@pytest.mark.parametrize("path", ["/dev/null", "/etc", "/dev/zero"])
def test_other_files_are_not_tuns(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(tun.NotATunError, match="is not one of a TUN device"):
        tun.check(descriptor)
    os.close(descriptor)


def test_both_families_go_through_the_interface(namespaces: None) -> None:
    program = """
interface.be_quiet()
tun.create("tun0")
interface.configure("tun0", "10.64.0.9", "fd6a:1e0:0:1::9", 1280, 7)
routes = [line.split() for line in open("/proc/net/route")]
routes6 = [line.split() for line in open("/proc/net/ipv6_route")]
print([r[0] for r in routes if r[1] == "00000000" and r[7] == "00000000"],
      [r[9] for r in routes6 if r[0] == "0" * 32 and r[1] == "00" and r[9] != "lo"])
"""
    assert _inside(program) == "['tun0'] ['tun0']"
