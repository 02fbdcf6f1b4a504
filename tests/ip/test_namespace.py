"""What a namespace's files say, and the sentences for machines that permit none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.ip import namespace
from testbed.ip.protocol import Host
from tests.ip.conftest import GIVE_UP_S, ROOT

#: a process whose mounts are shared (as systemd has them) starts another that covers its files
SHARED_MOUNTS = """
import os
from testbed.ip import namespace
namespace.enter_new()
namespace._mount("none", "/", flags=0x4000 | 1 << 20)  # MS_REC | MS_SHARED
before = open("/proc/self/mountinfo").read()
child = os.fork()
if child == 0:
    namespace.enter_new()
    namespace.cover_files([])
    os._exit(0)
print(os.waitpid(child, 0)[1], open("/proc/self/mountinfo").read() == before)
"""


def test_hosts_have_both_addresses_by_name() -> None:
    lines = namespace.hosts_file([Host("edge-ground", "10.64.0.3", "fd6a:1e0:0:1::3")]).splitlines()
    assert "127.0.0.1 localhost" in lines
    assert lines[-2:] == ["10.64.0.3 edge-ground", "fd6a:1e0:0:1::3 edge-ground"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ISS (ZARYA)", "ISS-ZARYA"),
        ("STARLINK-1007", "STARLINK-1007"),
        ("a\n6.6.6.6 b", "a-6.6.6.6-b"),
        ("#", "unnamed"),
        ("Zürich", "Z-rich"),
    ],
)
def test_a_name_is_one_word_of_a_hosts_file(name: str, written: str) -> None:
    assert namespace.hosts_file([Host(name, "10.128.0.0", "::1")]).splitlines()[-2] == f"10.128.0.0 {written}"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOENT, "absent", "/dev/net/tun"),
            "there is no TUN device here (/dev/net/tun); as root",
        ),
        (OSError(errno.EACCES, "denied", "/dev/net/tun"), "cannot be opened (denied); as root: chmod 666"),
        (OSError(errno.EPERM, "denied", "unshare"), "namespaces are not permitted here (denied); "),
    ],
)
def test_why_there_can_be_no_interface(error: OSError, sentence: str) -> None:
    assert sentence in namespace.why_not(error)


def test_a_setting_that_forbids_user_namespaces_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setting = tmp_path / "max_user_namespaces"
    setting.write_text("0\n")
    command = "sysctl user.max_user_namespaces=10000"
    monkeypatch.setattr(namespace, "_FORBIDDING", ((str(setting), "0", command),))
    assert f"as root: {command}; or run" in namespace.why_not(OSError(errno.ENOSPC, "x", "unshare"))


def test_what_is_mounted_inside_never_shows_outside(namespaces: None) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SHARED_MOUNTS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=True,
    )
    assert result.stdout == "0 True\n"
