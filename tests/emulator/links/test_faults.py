"""Faults: copies and damage come at the stated rates, and damage is one bit of the packet and no other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.jit import packet_kernel
from emulator.links.faults import Faults, damage, is_corrupted, is_duplicated
from tests.emulator.links.single import MANY, Z99, links, model, packets


@packet_kernel
def mark(models: Any, rows: Any, numbered: Any, copied: Any, damaged: Any) -> None:
    for number in range(len(copied)):
        numbered[0].number = number
        copied[number] = is_duplicated(models[0], rows[0], numbered[0])
        damaged[number] = is_corrupted(models[0], rows[0], numbered[0])


def marks(faults: Faults, count: int = MANY) -> tuple[Any, Any]:
    copied, damaged = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    mark(model(faults=faults), links(), packets(), copied, damaged)
    return copied, damaged


def test_copies_and_damage_have_the_stated_rates_independently() -> None:
    copied, damaged = marks(Faults(duplicate=0.03, corrupt=0.1))
    assert abs(copied.mean() - 0.03) < Z99 * math.sqrt(0.03 * 0.97 / MANY)
    assert abs(damaged.mean() - 0.1) < Z99 * math.sqrt(0.1 * 0.9 / MANY)
    assert abs((copied & damaged).mean() - 0.003) < Z99 * math.sqrt(0.003 * 0.997 / MANY)


def test_without_faults_there_are_none() -> None:
    copied, damaged = marks(Faults(), 10_000)
    assert not copied.any()
    assert not damaged.any()


@packet_kernel
def spoil(frame: Any, at: int, size: int, word: Any) -> None:
    damage(frame, at, size, word)


@tried(deadline=None)
@given(at=st.integers(0, 50), size=st.integers(1, 50), word=st.integers(0, 2**64 - 1))
def test_damage_is_one_bit_within_the_packet(at: int, size: int, word: int) -> None:
    frame = np.zeros(100, np.uint8)
    spoil(frame, at, size, np.uint64(word))
    changed = np.flatnonzero(np.unpackbits(frame))
    assert len(changed) == 1
    assert at * 8 <= changed[0] < (at + size) * 8


def test_every_bit_is_damaged_by_some_word() -> None:
    hit = np.zeros(8, np.uint8)
    for word in range(200):
        frame = np.zeros(8, np.uint8)
        spoil(frame, 0, 8, np.uint64(word))
        hit |= frame
    assert (hit == 255).all()


def test_an_empty_packet_has_no_bit_to_damage() -> None:
    frame = np.zeros(4, np.uint8)
    spoil(frame, 2, 0, np.uint64(12345))
    assert not frame.any()


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        (Faults(duplicate=-0.5), "faults.duplicate is -0.5, allowed: 0 to 1"),
        (Faults(corrupt=2.0), "faults.corrupt is 2, allowed: 0 to 1"),
    ],
)
def test_what_is_no_probability_gets_a_sentence(faults: Faults, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        faults.check("faults.")
    assert str(error.value) == sentence
