"""A real kernel accepts what is written here: super-segments, runs, single packets, errors, answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.inet.tun_mirror import NARROW_MTU

#: the program's exit status where TUN devices or namespaces are not permitted
NOT_PERMITTED = 3


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    if not sys.platform.startswith("linux"):
        pytest.skip("TUN devices with virtio headers are Linux's")
    done = subprocess.run(
        [sys.executable, "-m", "tests.emulator.inet.tun_mirror"],
        cwd=Path(__file__).parents[3],
        # numpy's threads would forbid the program a user namespace
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode == NOT_PERMITTED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_tcp_carries_every_octet_through_segments_taken_apart_and_joined(facts: dict[str, Any]) -> None:
    assert facts["tcp"] == [True, True]
    assert facts["tcp_super_segments"] > 0
    assert facts["longest_run"] > 1


def test_datagrams_sent_at_once_arrive_one_by_one(facts: dict[str, Any]) -> None:
    assert facts["udp"] == [True, True]
    assert (facts["udp_super_segments"] > 0) == facts["uso"]


def test_no_frame_of_the_kernel_is_refused(facts: dict[str, Any]) -> None:
    assert facts["refused"] == []


def test_the_kernel_finds_no_wrong_header_and_no_wrong_checksum(facts: dict[str, Any]) -> None:
    assert set(facts["counters"].values()) == {0}


def test_a_place_is_pinged(facts: dict[str, Any]) -> None:
    assert facts["ping"] == [True, True]


def test_errors_of_places_reach_the_program_that_caused_them(facts: dict[str, Any]) -> None:
    assert facts["port"] == ["Connection refused"] * 2
    assert facts["expired"] == ["No route to host"] * 2


def test_the_kernel_believes_the_mtu_that_a_place_tells(facts: dict[str, Any]) -> None:
    assert facts["too_big"] == [["Message too long", NARROW_MTU]] * 2
