"""Medium access: frames, slots, collisions and silences are where they are stated to be."""

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
from emulator.links.access import (
    DutyCycle,
    Frames,
    PureAloha,
    SlottedAloha,
    abandon,
    may_start_ns,
    on_air,
    retry_ns,
    started,
)
from emulator.links.state import IDLE, NEVER, SENDING
from tests.emulator.links.single import MANY, MS, Z99, S, links, model, packets

BATCHES = 1000


@packet_kernel
def ask(models: Any, rows: Any, now_ns: int, backlogged: bool) -> int:
    return may_start_ns(models[0], rows[0], now_ns, backlogged)


@packet_kernel
def begin(models: Any, rows: Any, row: int, media: Any, size: int, now_ns: int, end_ns: int) -> None:
    rows[row].tx_phase = SENDING
    started(models[0], rows[row], row, rows, media, size, now_ns, end_ns)
    rows[row].tx_event_ns = end_ns


@packet_kernel
def finish(models: Any, rows: Any, row: int, sent: Any, now_ns: int) -> int:
    again_ns = retry_ns(models[0], rows[row], sent[0], now_ns)
    rows[row].tx_phase = IDLE
    rows[row].tx_event_ns = NEVER
    return again_ns


@packet_kernel
def change(rows: Any, row: int, media: Any, now_ns: int, end_ns: int) -> None:
    on_air(rows[row], row, rows, media, now_ns, end_ns)
    rows[row].tx_event_ns = end_ns


@packet_kernel
def give_up(rows: Any, row: int) -> None:
    abandon(rows[row])
    rows[row].tx_phase = IDLE
    rows[row].tx_event_ns = NEVER


def free_media(count: int = 1) -> Any:
    return np.full((count, 2), -1, np.int64)


# --- frames ---------------------------------------------------------------------------------------

FRAME = Frames(period_ms=10.0, grant_ms=4.0, offset_ms=3.0)


@tried(deadline=None)
@given(st.integers(0, 10**12))
def test_an_idle_transmitter_begins_with_the_first_frame_after_the_grant(now_ns: int) -> None:
    start_ns = ask(model(access=FRAME), links(), now_ns, False)
    assert (start_ns - 3 * MS) % (10 * MS) == 0
    assert now_ns + 4 * MS <= start_ns < now_ns + 14 * MS


def test_a_grant_is_asked_for_once() -> None:
    models, rows = model(access=FRAME), links()
    start_ns = ask(models, rows, 0, False)
    assert start_ns == 13 * MS
    assert ask(models, rows, 12 * MS, False) == start_ns
    assert ask(models, rows, start_ns, True) == start_ns


def test_with_packets_waiting_it_goes_on_at_once() -> None:
    models, rows = model(access=FRAME), links()
    start_ns = ask(models, rows, 0, False)
    assert ask(models, rows, start_ns + 1234, True) == start_ns + 1234


def test_after_idling_it_asks_anew() -> None:
    models, rows = model(access=FRAME), links()
    start_ns = ask(models, rows, 0, False)
    assert ask(models, rows, start_ns + 1, False) == start_ns + 10 * MS


@tried(deadline=None)
@given(
    sizes=st.lists(st.integers(40, 3000), min_size=1, max_size=60),
    frame_bytes=st.integers(100, 5000),
    byte_ns=st.integers(1, 3000),
)
def test_a_frame_carries_no_more_than_its_bytes(sizes: list[int], frame_bytes: int, byte_ns: int) -> None:
    models = model(access=Frames(period_ms=1.0, frame_kbytes=frame_bytes / 1000.0))
    rows, media = links(), free_media()
    now_ns, begun = ask(models, rows, 5, False), {}
    for size in sizes:
        now_ns = ask(models, rows, now_ns, True)
        frame = now_ns // MS
        # a packet begins only where the frames so far have room left for at least a byte of it
        before = sum(begun.values())
        assert before < (frame - min(begun, default=frame) + 1) * frame_bytes
        assert begun.get(frame, 0) < frame_bytes
        begun[frame] = begun.get(frame, 0) + size
        begin(models, rows, 0, media, size, now_ns, now_ns + size * byte_ns)
        now_ns += size * byte_ns


def test_a_backlogged_link_has_the_rate_of_its_frames() -> None:
    models = model(access=Frames(period_ms=1.0, frame_kbytes=10.0))
    rows, media = links(), free_media()
    now_ns = ask(models, rows, 0, False)
    for _ in range(10_000):
        now_ns = ask(models, rows, now_ns, True)
        begin(models, rows, 0, media, 1499, now_ns, now_ns + 1000)
        now_ns += 1000
    frames = 10_000 * 1499 / 10_000
    assert abs(now_ns / MS - frames) <= 1.0


# --- collisions -------------------------------------------------------------------------------------

ALOHA = PureAloha(window_ms=10.0)


def test_two_at_the_same_time_are_both_lost() -> None:
    models, rows, media = model(access=ALOHA), links(2, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 10)
    begin(models, rows, 1, media, 100, 9, 20)
    assert finish(models, rows, 0, packets(), 10) == -1
    assert finish(models, rows, 1, packets(), 20) == -1


def test_one_after_the_other_both_get_through() -> None:
    models, rows, media = model(access=ALOHA), links(2, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 10)
    begin(models, rows, 1, media, 100, 10, 20)
    assert finish(models, rows, 0, packets(), 10) == 0
    assert finish(models, rows, 1, packets(), 20) == 0


def test_links_on_different_media_do_not_hear_each_other() -> None:
    models, rows, media = model(access=ALOHA), links(3, medium=[0, 1, -1]), free_media(2)
    for row in range(3):
        begin(models, rows, row, media, 100, 0, 10)
    assert [finish(models, rows, row, packets(), 10) for row in range(3)] == [0, 0, 0]


def test_granted_frames_do_not_collide() -> None:
    models, rows, media = model(access=Frames(10.0)), links(2, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 10)
    begin(models, rows, 1, media, 100, 5, 15)
    assert finish(models, rows, 0, packets(), 10) == 0


def overlaps(sent: list[list[int]]) -> list[bool]:
    """Of transmissions (from, to), which meet another."""
    return [
        any(one is not other and one[0] < other[1] and other[0] < one[1] for other in sent) for one in sent
    ]


@tried(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.integers(1, 40), st.sampled_from(["sent", "lost", "faster", "slower"])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whoever_meets_another_has_collided_also_when_ends_change(
    plan: list[tuple[int, int, str]],
) -> None:
    models, rows, media = model(access=ALOHA), links(len(plan), medium=0), free_media()
    # what really was on the air: half of it when the link is lost or becomes faster there, more when slower
    moments: list[tuple[int, int, str, int]] = []
    sent: list[list[int]] = []
    for row, (start, length, how) in enumerate(plan):
        half = start + (length + 1) // 2
        end = {"sent": start + length, "lost": half, "faster": half + 1, "slower": start + 3 * length}[how]
        sent.append([start, end])
        moments.append((start, 2, "begin", row))
        if how != "sent":
            moments.append((half, 1, how, row))
    collided = [False] * len(plan)
    for time, _, what, row in sorted(moments):
        end = plan[row][0] + plan[row][1] if what == "begin" else sent[row][1]
        if what == "begin":
            begin(models, rows, row, media, 100, time, end)
        elif what == "lost":
            # read before the mark goes with the packet
            collided[row] = bool(rows[row]["collided"])
            give_up(rows, row)
        else:
            change(rows, row, media, time, end)
    met = overlaps(sent)
    for row, (_, _, how) in enumerate(plan):
        if how != "lost":
            collided[row] = bool(rows[row]["collided"])
    assert collided == met


def test_a_stalled_transmitter_is_not_on_the_air_and_meets_others_when_it_goes_on() -> None:
    models, rows, media = model(access=ALOHA), links(2, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 10)
    change(rows, 0, media, 5, NEVER)
    begin(models, rows, 1, media, 100, 7, 200)
    assert rows["collided"].tolist() == [0, 0]
    change(rows, 0, media, 150, 160)
    assert rows["collided"].tolist() == [1, 1]


def test_of_several_on_the_air_the_one_that_ends_last_is_remembered() -> None:
    models, rows, media = model(access=ALOHA), links(5, medium=0), free_media()
    for row, end_ns in enumerate((100, 70, 50)):
        begin(models, rows, row, media, 100, row, end_ns)
    give_up(rows, 0)
    begin(models, rows, 3, media, 100, 40, 45)
    begin(models, rows, 4, media, 100, 60, 65)
    assert rows["collided"].tolist() == [0, 1, 1, 1, 1]


def test_who_ends_in_the_moment_another_begins_is_not_met() -> None:
    models, rows, media = model(access=ALOHA), links(3, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 100)
    begin(models, rows, 1, media, 100, 1, 50)
    give_up(rows, 0)
    begin(models, rows, 2, media, 100, 50, 60)
    assert rows["collided"].tolist() == [0, 1, 0]


def test_a_link_that_has_moved_to_another_medium_has_left_the_first() -> None:
    models, rows, media = model(access=ALOHA), links(2, medium=0), free_media(2)
    begin(models, rows, 0, media, 100, 0, 100)
    rows[0]["medium"] = 1
    begin(models, rows, 1, media, 100, 5, 15)
    assert rows["collided"].tolist() == [0, 0]


def test_a_packet_does_not_inherit_the_collision_of_the_one_before() -> None:
    models, rows, media = model(access=ALOHA), links(medium=0, collided=1), free_media()
    begin(models, rows, 0, media, 100, 0, 10)
    assert finish(models, rows, 0, packets(), 10) == 0


def test_a_lost_link_does_not_leave_its_medium_taken() -> None:
    models, rows, media = model(access=ALOHA), links(2, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 10 * S)
    give_up(rows, 0)
    begin(models, rows, 1, media, 100, 5, 15)
    assert finish(models, rows, 1, packets(), 15) == 0


def test_a_link_that_is_lost_and_begins_again_meets_who_is_still_on_the_air() -> None:
    models, rows, media = model(access=ALOHA), links(3, medium=0), free_media()
    begin(models, rows, 0, media, 100, 0, 100)
    begin(models, rows, 1, media, 100, 1, 70)
    give_up(rows, 0)
    rows["collided"] = 0
    begin(models, rows, 0, media, 100, 60, 65)
    assert rows["collided"].tolist() == [1, 1, 0]
    begin(models, rows, 2, media, 100, 66, 80)
    assert rows["collided"].tolist() == [1, 1, 1]


# --- throughput of ALOHA ----------------------------------------------------------------------------


@packet_kernel
def offer(
    models: Any, rows: Any, media: Any, sent: Any, arrivals: Any, airtime_ns: int, through: Any
) -> None:
    """Each arrival is the only packet of its row, which comes round again long after."""
    count = rows.shape[0]
    for number in range(len(arrivals) + count):
        row = number % count
        if number >= count and number - count < len(arrivals):
            through[number - count] = retry_ns(models[0], rows[row], sent[0], rows[row].tx_event_ns) == 0
        if number < len(arrivals):
            rows[row].tx_phase = SENDING
            start_ns = may_start_ns(models[0], rows[row], arrivals[number], False)
            started(models[0], rows[row], row, rows, media, 100, start_ns, start_ns + airtime_ns)
            rows[row].tx_event_ns = start_ns + airtime_ns


@pytest.mark.parametrize("load", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    ("settings", "vulnerable"), [(PureAloha(window_ms=1.0), 2.0), (SlottedAloha(slot_ms=1.0), 1.0)]
)
def test_aloha_has_the_throughput_of_theory(settings: Any, vulnerable: float, load: float) -> None:
    """S = G e^(-2G) without slots and G e^(-G) with them, for Poisson arrivals (Abramson, Roberts)."""
    # chosen once
    gaps = np.random.default_rng(20261120).exponential(MS / load, MANY)
    arrivals = np.cumsum(gaps).astype(np.int64)
    through = np.zeros(MANY, np.uint8)
    offer(model(access=settings), links(256, medium=0), free_media(), packets(), arrivals, MS, through)
    # neighbours share their collisions, so the deviation is taken from batches
    batches = through.reshape(BATCHES, -1).mean(axis=1)
    deviation = batches.std(ddof=1) / math.sqrt(BATCHES)
    assert abs(load * through.mean() - load * math.exp(-vulnerable * load)) < load * Z99 * deviation


# --- sending again ----------------------------------------------------------------------------------


def back_offs(settings: Any, collisions: int, count: int = 2000) -> list[int]:
    """When so many packets that collided so often, the last time at 12.3 ms, are sent again; -1: never."""
    models, found = model(access=settings), []
    for number in range(count):
        rows = links(medium=0)
        for _ in range(collisions):
            rows[0]["collided"] = 1
            again_ns = finish(models, rows, 0, packets(number=number), 12_300_000)
        found.append(again_ns)
    return found


@pytest.mark.parametrize(("collisions", "slots"), [(1, 4), (2, 8), (3, 16)])
def test_slotted_back_off_is_uniform_over_a_window_that_doubles(collisions: int, slots: int) -> None:
    settings = SlottedAloha(slot_ms=1.0, window_slots=4, attempts=8, offset_ms=0.5)
    found = (np.array(back_offs(settings, collisions)) - 12_500_000) / MS
    assert set(found) == set(range(slots))
    counts = np.unique(found, return_counts=True)[1]
    chi_square = ((counts - 2000 / slots) ** 2 / (2000 / slots)).sum()
    # Wilson and Hilferty's 99 % point
    bound = (slots - 1) * (1 - 2 / (9 * (slots - 1)) + 2.3263 * math.sqrt(2 / (9 * (slots - 1)))) ** 3
    assert chi_square < bound


@pytest.mark.parametrize(("collisions", "window_ms"), [(1, 4.0), (2, 8.0), (30, 4.0 * 2**10)])
def test_unslotted_back_off_is_uniform_over_a_window_that_doubles_ten_times_at_most(
    collisions: int, window_ms: float
) -> None:
    found = (np.array(back_offs(PureAloha(4.0, attempts=50), collisions)) - 12_300_000) / MS
    assert found.min() >= 0.0
    assert found.max() < window_ms
    assert abs(found.mean() - window_ms / 2) < Z99 * window_ms / math.sqrt(12 * len(found))


def test_each_back_off_is_a_draw_of_its_own() -> None:
    settings = PureAloha(4.0, attempts=50)
    once, twice = (np.array(back_offs(settings, collisions)) for collisions in (1, 2))
    assert abs(np.corrcoef(once, twice)[0, 1]) < Z99 / math.sqrt(len(once))


def test_a_packet_is_sent_so_many_times_in_all() -> None:
    settings = PureAloha(4.0, attempts=3)
    assert min(back_offs(settings, 2, 50)) > 0
    assert set(back_offs(settings, 3, 50)) == {-1}
    assert set(back_offs(PureAloha(4.0), 1, 50)) == {-1}


def test_the_next_packet_has_all_its_attempts() -> None:
    models, rows = model(access=PureAloha(4.0, attempts=2)), links(medium=0, collided=1)
    assert finish(models, rows, 0, packets(), MS) > MS
    rows[0]["collided"] = 0
    assert finish(models, rows, 0, packets(), 2 * MS) == 0
    rows[0]["collided"] = 1
    assert finish(models, rows, 0, packets(), 3 * MS) > 3 * MS
    give_up(rows, 0)
    assert rows[0]["attempt"] == 0


# --- duty cycle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_a_backlogged_link_is_on_the_air_for_its_share(share: float) -> None:
    models, rows, media = model(access=DutyCycle(share)), links(), free_media()
    airtimes = np.random.default_rng(20261120).integers(MS, 400 * MS, 1000)
    now_ns = 0
    for airtime_ns in airtimes.tolist():
        now_ns = ask(models, rows, now_ns, True)
        begin(models, rows, 0, media, 50, now_ns, now_ns + airtime_ns)
        # the silence follows from when it really ended, which a change of rate has moved
        rows[0]["tx_event_ns"] = now_ns + airtime_ns
        sent = packets(tx_ns=now_ns)
        now_ns += airtime_ns
        assert finish(models, rows, 0, sent, now_ns) == 0
    now_ns = ask(models, rows, now_ns, True)
    assert now_ns == pytest.approx(airtimes.sum() / share, abs=len(airtimes))


def test_an_idle_link_need_not_wait() -> None:
    models, rows = model(access=DutyCycle(0.5)), links(ready_ns=7)
    assert ask(models, rows, 3, False) == 7
    assert ask(models, rows, 8, False) == 8


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Frames(period_ms=0.0), "access.period_ms is 0, allowed: 1e-06 to 1e+09 ms"),
        (Frames(1.0, grant_ms=-1.0), "access.grant_ms is -1, allowed: 0 to 1e+09 ms"),
        (Frames(1.0, frame_kbytes=-1.0), "access.frame_kbytes is -1, allowed: 0.001 to 1e+09"),
        (SlottedAloha(slot_ms=-2.0), "access.slot_ms is -2, allowed: 1e-06 to 1e+09 ms"),
        (SlottedAloha(1.0, window_slots=0), "access.window_slots is 0, allowed: 1 to 1e+06"),
        (SlottedAloha(1.0, attempts=0), "access.attempts is 0, allowed: 1 to 100"),
        (PureAloha(window_ms=math.nan), "access.window_ms is nan, allowed: 1e-06 to 1e+09 ms"),
        (PureAloha(1.0, attempts=101), "access.attempts is 101, allowed: 1 to 100"),
        (DutyCycle(0.0), "access.share is 0, allowed: 1e-06 to 1"),
    ],
)
def test_what_no_link_can_have_gets_a_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        settings.check("access.")
    assert str(error.value) == sentence
