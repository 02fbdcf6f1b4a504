"""The search for contact windows, compiled: bounds, interpolation, changes of sign, highest points.

`emulator.topology.windows` prepares what these kernels take and says what the results mean.
"""

from __future__ import annotations

import math

import numpy as np

from emulator.jit import kernel
from emulator.orbits.motion import follow

#: indices of place and satellite as they were given; run times in s; `begun_before` and `ends_after`: the
#: window goes on beyond that end of the interval, and its highest point may as well
WINDOW = np.dtype(
    [
        ("place", "i4"), ("satellite", "i4"), ("start_s", "f8"), ("end_s", "f8"), ("culmination_s", "f8"),
        ("max_elevation_deg", "f8"), ("begun_before", "?"), ("ends_after", "?"),
    ]
)  # fmt: skip

#: knots needed beyond either end of the interval, for the differences
BEYOND = 3
#: samples of the elevation a step between knots
_SAMPLES = 8
#: halvings of a sample's time, at most 15 s: to 0.1 ms; steps of the golden section over two: likewise
_HALVINGS, _GOLDEN_STEPS = 18, 28
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_NOT_SEEN = -2.0


@kernel
def may_be_seen(knots, direction, least, lowest_m, place_rate, step_s, near):  # type: ignore[no-untyped-def]
    """Which satellites may be above a place's horizon within half a step of each knot.

    `knots` [t + 2 x 3, n, 3] m TEME; `direction` [t, 3] of the place from the centre of the Earth, TEME;
    `least` elevation in rad; `lowest_m`: the place's least distance from the centre; `place_rate`: rad/s at
    which its direction turns at most; `near` [t, n] is written. A satellite at the distance r is above the
    elevation e only within arccos(q cos e / r) - e of the place's direction (sine rule).
    """
    half = 0.5 * step_s
    for k in range(near.shape[0]):
        dx, dy, dz = direction[k, 0], direction[k, 1], direction[k, 2]
        i = k + BEYOND
        for s in range(near.shape[1]):
            x, y, z = knots[i, s, 0], knots[i, s, 1], knots[i, s, 2]
            vx = (knots[i + 1, s, 0] - knots[i - 1, s, 0]) / (2.0 * step_s)
            vy = (knots[i + 1, s, 1] - knots[i - 1, s, 1]) / (2.0 * step_s)
            vz = (knots[i + 1, s, 2] - knots[i - 1, s, 2]) / (2.0 * step_s)
            r = math.sqrt(x * x + y * y + z * z)
            # a tenth more: the rates are means, and change within half a step
            reach = 1.1 * half * math.sqrt(vx * vx + vy * vy + vz * vz)
            angle = math.acos(min(lowest_m * math.cos(least) / (r + reach), 1.0)) - least
            angle += reach / max(r - reach, 0.5 * r) + place_rate * half
            towards = dx * x + dy * y + dz * z
            near[k, s] = angle >= math.pi or towards >= r * math.cos(max(angle, 0.0))


@kernel
def _height(  # type: ignore[no-untyped-def]
    t_s, from_s, step_s, knots, s, sidereal, rotation, track, here, axes, velocity
):
    """Sine of a satellite's elevation at a run time; -2 where there is none.

    `sidereal` rad at `from_s`, `rotation` rad/s: by how much it grows; `here`, `axes`, `velocity` hold the
    place, and are moved along its track.
    """
    segments = knots.shape[0] - 2 * BEYOND - 1
    u = (t_s - from_s) / step_s
    k = min(max(math.floor(u), 0), segments - 1)
    u -= k
    w = 1.0 - u
    left, right = w * w * w, u * u * u
    p0, p1 = left * (1.0 + u * (3.0 + 6.0 * u)), right * (1.0 + w * (3.0 + 6.0 * w))
    # velocities and accelerations are seven-point differences (Fornberg 1988), in steps
    v0, v1 = left * u * (1.0 + 3.0 * u) / 60.0, -right * w * (1.0 + 3.0 * w) / 60.0
    a0, a1 = left * u * u * 0.5 / 180.0, right * w * w * 0.5 / 180.0
    x = y = z = 0.0
    for c in range(3):
        m3, m2, m1, here0 = knots[k, s, c], knots[k + 1, s, c], knots[k + 2, s, c], knots[k + 3, s, c]
        here1, n2, n3, n4 = knots[k + 4, s, c], knots[k + 5, s, c], knots[k + 6, s, c], knots[k + 7, s, c]
        value = p0 * here0 + p1 * here1
        value += v0 * (45.0 * (here1 - m1) - 9.0 * (n2 - m2) + (n3 - m3))
        value += v1 * (45.0 * (n2 - here0) - 9.0 * (n3 - m1) + (n4 - m2))
        value += a0 * (270.0 * (here1 + m1) - 27.0 * (n2 + m2) + 2.0 * (n3 + m3) - 490.0 * here0)
        value += a1 * (270.0 * (n2 + here0) - 27.0 * (n3 + m1) + 2.0 * (n4 + m2) - 490.0 * here1)
        if c == 0:
            x = value
        elif c == 1:
            y = value
        else:
            z = value
    angle = sidereal + rotation * (t_s - from_s)
    cosine, sine = math.cos(angle), math.sin(angle)
    if track.shape[0] > 1:
        follow(track, t_s, here, axes, velocity)
    east = cosine * x + sine * y - here[0]
    north = cosine * y - sine * x - here[1]
    z -= here[2]
    rise = axes[2, 0] * east + axes[2, 1] * north + axes[2, 2] * z
    height = rise / math.sqrt(east * east + north * north + z * z)
    return height if height >= -1.0 else _NOT_SEEN


@kernel
def _crossing(low_s, high_s, limit, rising, sight):  # type: ignore[no-untyped-def]
    """When the height passes `limit` between two run times, on whose sides it is."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low_s + high_s)
        if (_height(middle, *sight) >= limit) == rising:
            high_s = middle
        else:
            low_s = middle
    return 0.5 * (low_s + high_s)


@kernel
def _extreme(low_s, high_s, sign, sight):  # type: ignore[no-untyped-def]
    """(when, value) of the largest (`sign` 1) or least (-1) height between two run times."""
    a = high_s - _GOLDEN * (high_s - low_s)
    b = low_s + _GOLDEN * (high_s - low_s)
    at_a, at_b = sign * _height(a, *sight), sign * _height(b, *sight)
    for _ in range(_GOLDEN_STEPS):
        if at_a >= at_b:
            high_s, b, at_b = b, a, at_a
            a = high_s - _GOLDEN * (high_s - low_s)
            at_a = sign * _height(a, *sight)
        else:
            low_s, a, at_a = a, b, at_b
            b = low_s + _GOLDEN * (high_s - low_s)
            at_b = sign * _height(b, *sight)
    return (a, sign * at_a) if at_a >= at_b else (b, sign * at_b)


@kernel
def _close(out, count, s, start_s, end_s, best_s, sample_s, begun, on, sight):  # type: ignore[no-untyped-def]
    """Write a window whose highest sample is at `best_s`; returns the new count, also beyond the room."""
    if count < out.shape[0]:
        row = out[count]
        row.satellite = s
        row.start_s, row.end_s = start_s, end_s
        when, height = _extreme(max(best_s - sample_s, start_s), min(best_s + sample_s, end_s), 1.0, sight)
        # at an end of the interval the highest point is the end itself
        for end in (start_s, end_s):
            at_end = _height(end, *sight)
            if at_end > height:
                when, height = end, at_end
        row.culmination_s = when
        row.max_elevation_deg = math.degrees(math.asin(min(height, 1.0)))
        row.begun_before, row.ends_after = begun, on
    return count + 1


@kernel
def _between(out, count, s, low_s, high_s, limit, sample_s, sight):  # type: ignore[no-untyped-def]
    """Write the window, if there is one, between two run times at which the satellite is not seen."""
    when, most = _extreme(low_s, high_s, 1.0, sight)
    if most < limit:
        return count
    start_s = _crossing(low_s, when, limit, True, sight)
    end_s = _crossing(when, high_s, limit, False, sight)
    return _close(out, count, s, start_s, end_s, when, sample_s, False, False, sight)


@kernel
def find_windows(  # type: ignore[no-untyped-def]
    from_s, step_s, knots, near, limit, sidereal, rotation, track, here, axes, velocity, out
):
    """Windows of one place with all satellites of `knots`, in order of satellite and time; how many.

    `near` [t, n] of `may_be_seen`; `limit`: sine of the least elevation; `out` [m] of `WINDOW`: what goes
    beyond its room is counted and not written.
    """
    segments = near.shape[0] - 1
    sample_s = step_s / _SAMPLES
    count = 0
    for s in range(near.shape[1]):
        sight = (from_s, step_s, knots, s, sidereal, rotation, track, here, axes, velocity)
        seen = begun = False
        start_s = best_s = from_s
        best = before = last = _NOT_SEEN
        for k in range(segments):
            if not (near[k, s] or near[k + 1, s]):
                if seen:  # only when SGP4 gives up
                    end_s = from_s + k * step_s
                    count = _close(out, count, s, start_s, end_s, best_s, sample_s, begun, False, sight)
                    seen = False
                before = last = _NOT_SEEN
                continue
            for j in range(0 if k == 0 else 1, _SAMPLES + 1):
                t = from_s + (k + j / _SAMPLES) * step_s
                high = _height(t, *sight)
                if high >= limit and not seen:
                    begun = t == from_s
                    start_s = t if begun else _crossing(t - sample_s, t, limit, True, sight)
                    seen, best, best_s = True, high, t
                elif seen and high < limit:
                    end_s = _crossing(t - sample_s, t, limit, False, sight)
                    count = _close(out, count, s, start_s, end_s, best_s, sample_s, begun, False, sight)
                    seen = False
                elif seen:
                    if best < high:
                        best, best_s = high, t
                    if before > last and last < high and before >= limit:
                        # a dip between samples
                        when, least = _extreme(t - 2.0 * sample_s, t, -1.0, sight)
                        if least < limit:
                            end_s = _crossing(t - 2.0 * sample_s, when, limit, False, sight)
                            count = _close(
                                out,
                                count,
                                s,
                                start_s,
                                end_s,
                                min(best_s, end_s),
                                sample_s,
                                begun,
                                False,
                                sight,
                            )
                            start_s = _crossing(when, t, limit, True, sight)
                            begun, best, best_s = False, high, t
                elif before < last and last > high and last > _NOT_SEEN:
                    # a pass between samples, of which the first may be the start of the interval
                    count = _between(
                        out, count, s, max(t - 2.0 * sample_s, from_s), t, limit, sample_s, sight
                    )
                elif k == segments - 1 and j == _SAMPLES and last < high:
                    # a pass that ends before the interval does
                    count = _between(out, count, s, t - sample_s, t, limit, sample_s, sight)
                before, last = last, high
        if seen:
            end_s = from_s + segments * step_s
            count = _close(out, count, s, start_s, end_s, best_s, sample_s, begun, True, sight)
    return count
