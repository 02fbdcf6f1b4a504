"""Loss on the air: rates and bursts are those stated, with a million packets, and errors grow with length."""

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
from emulator.links.loss import GilbertElliott, Independent, is_lost, loss_probability
from tests.emulator.links.single import MANY, Z99, links, model, packets

ROUNDING = 1e-12


@packet_kernel
def lose(models: Any, rows: Any, numbered: Any, loss: float, lost: Any) -> None:
    for number in range(len(lost)):
        numbered[0].number = number
        lost[number] = is_lost(models[0], rows[0], numbered[0], loss)


def fates(loss: float, count: int = MANY, *, process: Any = None, length: int = 1000, **fields: Any) -> Any:
    """Which of so many packets are lost."""
    lost = np.zeros(count, np.uint8)
    settings = {} if process is None else {"loss": process}
    lose(model(**settings), links(**fields), packets(length=length), loss, lost)
    return lost


def bursts(lost: Any) -> Any:
    """Lengths of the runs of lost packets, the last one left out, which may go on."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost, [0])).astype(np.int8)))
    return (edges[1::2] - edges[::2])[:-1]


@pytest.mark.parametrize("loss", [1e-3, 0.02, 0.5])
def test_independent_loss_has_the_stated_rate(loss: float) -> None:
    assert abs(fates(loss).mean() - loss) < Z99 * math.sqrt(loss * (1.0 - loss) / MANY)


def test_independent_loss_is_independent_from_packet_to_packet() -> None:
    lost = fates(0.2).astype(float)
    assert abs(np.corrcoef(lost[1:], lost[:-1])[0, 1]) < Z99 / math.sqrt(MANY)


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_no_packet_and_every_packet_can_be_lost(loss: float, expected: float) -> None:
    assert fates(loss, 10_000).mean() == expected


def test_a_packet_meets_its_fate_whichever_packets_come_between() -> None:
    alone = fates(0.3, 1000)
    rows, models = links(), model()
    for number in range(0, 1000, 7):
        one = packets(number=number)
        is_other_lost(models, rows, packets(number=number, port=2), 0.3)
        assert is_other_lost(models, rows, one, 0.3) == bool(alone[number])


@packet_kernel
def is_other_lost(models: Any, rows: Any, one: Any, loss: float) -> bool:
    return is_lost(models[0], rows[0], one[0], loss)


# --- Gilbert-Elliott ------------------------------------------------------------------------------


@pytest.mark.parametrize(("enter", "leave"), [(0.01, 0.3), (0.002, 0.9), (0.1, 0.1)])
def test_a_bursty_link_loses_the_stationary_share(enter: float, leave: float) -> None:
    share = enter / (enter + leave)
    # of a two-state chain, whose autocorrelation at lag k is memory^k
    memory = 1.0 - enter - leave
    deviation = math.sqrt(share * (1.0 - share) * (1.0 + memory) / (1.0 - memory) / MANY)
    lost = fates(0.0, process=GilbertElliott(enter, leave))
    assert abs(lost.mean() - share) < Z99 * deviation


@pytest.mark.parametrize(("enter", "leave"), [(0.01, 0.3), (0.002, 0.9), (0.1, 0.1)])
def test_bursts_are_entered_and_left_as_stated(enter: float, leave: float) -> None:
    lost = fates(0.0, process=GilbertElliott(enter, leave))
    lengths = bursts(lost)
    deviation = math.sqrt((1.0 - leave) / len(lengths)) / leave
    assert abs(lengths.mean() - 1.0 / leave) < Z99 * deviation
    good = lost[:-1] == 0
    entered = float(lost[1:][good].mean())
    assert abs(entered - enter) < Z99 * math.sqrt(enter * (1.0 - enter) / good.sum())


def test_a_bad_link_may_lose_some_packets_only_besides_its_own_loss() -> None:
    process = GilbertElliott(1.0, 1e-6, loss=0.4)
    expected = 1.0 - (1.0 - 0.05) * (1.0 - 0.4)
    # enters with the first packet; that it leaves within the test is as good as impossible to notice
    lost = fates(0.05, process=process)
    assert abs(lost.mean() - expected) < Z99 * math.sqrt(expected * (1.0 - expected) / MANY)


def test_a_good_link_keeps_its_own_loss() -> None:
    lost = fates(0.1, process=GilbertElliott(0.0, 1.0))
    assert np.array_equal(lost, fates(0.1, process=Independent()))


# --- errors at the present signal-to-noise ratio ----------------------------------------------------


@packet_kernel
def probability_of(rows: Any, loss: float, size: int) -> float:
    return loss_probability(rows[0], loss, size)


@tried(deadline=None)
@given(
    error=st.floats(1e-9, 1.0),
    loss=st.floats(0.0, 1.0),
    size=st.integers(1, 65_535),
    bits=st.integers(1, 100_000),
)
def test_a_packet_is_decoded_when_every_one_of_its_frames_is(
    error: float, loss: float, size: int, bits: int
) -> None:
    frames = math.ceil(size * 8 / bits)
    expected = 1.0 - (1.0 - loss) * (1.0 - error) ** frames
    found = probability_of(links(frame_error=error, frame_bits=bits), loss, size)
    assert found == pytest.approx(expected, rel=ROUNDING, abs=ROUNDING)


def test_frame_errors_lose_packets_at_their_rate() -> None:
    expected = 1.0 - (1.0 - 0.01) ** 2
    lost = fates(0.0, length=1500, frame_error=0.01, frame_bits=6000)
    assert abs(lost.mean() - expected) < Z99 * math.sqrt(expected * (1.0 - expected) / MANY)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (GilbertElliott(-0.1, 0.5), "loss.enter is -0.1, allowed: 0 to 1"),
        (GilbertElliott(0.1, 0.0), "loss.leave is 0, allowed: 1e-06 to 1"),
        (GilbertElliott(0.1, 0.5, 1.5), "loss.loss is 1.5, allowed: 0 to 1"),
        (GilbertElliott(0.1, math.nan), "loss.leave is nan, allowed: 1e-06 to 1"),
    ],
)
def test_what_no_link_can_have_gets_a_sentence(settings: GilbertElliott, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        settings.check("loss.")
    assert str(error.value) == sentence
