import random

import pytest

from firmware_bridge.clockfit import ClockFit

SECOND = 1_000_000_000
HOST_START = 5_000 * SECOND


class Device:
    """A clock with a known offset and drift, behind a line with random delays."""

    def __init__(self, drift_ppm: float, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.rate = 1.0 + drift_ppm * 1e-6

    def clock_us(self, host_ns: int) -> int:
        return int((host_ns - HOST_START) * self.rate) // 1_000 + 777

    def delay_ns(self) -> int:
        # a fixed part and a queue that is mostly short and at times long
        return 60_000 + round(self.rng.expovariate(1 / 200_000))

    def exchange(self, fit: ClockFit, t1_ns: int) -> None:
        t2 = t1_ns + self.delay_ns()
        t3 = t2 + 30_000
        t4 = t3 + self.delay_ns()
        fit.add(t1_ns, self.clock_us(t2), self.clock_us(t3), t4)


@pytest.mark.parametrize("drift_ppm", [0.0, 40.0, -150.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_device_stamp_maps_to_the_host_clock_within_the_bound(drift_ppm: float, seed: int) -> None:
    device, fit = Device(drift_ppm, seed), ClockFit()
    for second in range(40):
        device.exchange(fit, HOST_START + second * SECOND)
    assert fit.fit is not None
    for second in range(40, 50):
        host_ns = HOST_START + second * SECOND
        error_ns = abs(fit.fit.to_host_ns(device.clock_us(host_ns)) - host_ns)
        assert error_ns <= fit.fit.bound_at(host_ns)


def test_the_filter_beats_the_mean_of_all_exchanges() -> None:
    device, fit = Device(0.0), ClockFit()
    exchanges_ns = []
    for second in range(64):
        host_ns = HOST_START + second * SECOND
        device.exchange(fit, host_ns)
        exchanges_ns.append(fit._exchanges[-1].theta_ns)
    assert fit.fit is not None
    middle_ns = HOST_START + 32 * SECOND
    true_ns = device.clock_us(middle_ns) * 1_000 - middle_ns
    fitted = abs(fit.fit.offset_at(middle_ns) - true_ns)
    assert fitted < abs(sum(exchanges_ns) / len(exchanges_ns) - true_ns)


def test_the_skew_is_found() -> None:
    device, fit = Device(80.0), ClockFit()
    for second in range(60):
        device.exchange(fit, HOST_START + second * SECOND)
    assert fit.fit is not None
    assert abs(fit.fit.skew - 80e-6) <= fit.fit.skew_bound < 10e-6


def test_the_bound_grows_while_nothing_is_heard() -> None:
    device, fit = Device(0.0), ClockFit()
    for second in range(5):
        device.exchange(fit, HOST_START + second * SECOND)
    assert fit.fit is not None
    bounds = [fit.fit.bound_at(HOST_START + at * SECOND) for at in (4, 60, 600)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[2]


def test_contradicting_stamps_are_refused_and_change_nothing() -> None:
    fit = ClockFit()
    fit.add(1_000_000, 10, 20, 1_200_000)
    before = fit.fit
    for stamps in [
        (1_000_000, 20, 10, 1_200_000),
        (1_000_000, 0, 900, 1_200_000),
        (2_000_000, 0, 0, 1_000_000),
    ]:
        with pytest.raises(ValueError, match="contradict"):
            fit.add(*stamps)
    assert fit.fit is before
    assert len(fit) == 1


def test_after_a_boot_nothing_is_known() -> None:
    fit = ClockFit()
    fit.add(1_000_000, 10, 20, 1_200_000)
    fit.reset()
    assert fit.fit is None
    assert len(fit) == 0
