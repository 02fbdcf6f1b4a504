"""The adaptive predictor: it lives through the calibration data, and learns on through the test.

It is a state machine (`machine`), the same for a recording that is gone through at once (`forecasts`) and for
samples that come one after the other (`begin`, then `Live`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.measurement import Array, Measurement
from testbed.measured.prediction.forecasts import LEVELS, Quantiles, samples_of

#: bins of the values: so many by what the calibration data hold, so many evenly beyond
_BY_QUANTILES, _EVENLY = 150, 150
#: the even ones reach this much further than the calibration data, as logarithms of factors
_BELOW, _ABOVE = 0.4, 0.7
#: the shift in log(value + shift), of the median: a throughput may be zero
_SHIFT: Final = 0.01
#: samples below which there is nothing to learn from
_LEAST_SAMPLES: Final = 50
#: horizons that can be asked for, s
_LONGEST_HORIZON_S: Final = 30.0


class Adaptive:
    """Forecasts by a pool of memories, of slots and cycles where there are any, and of what was learned."""

    name = "adaptive"

    def __init__(self, calibration: Sequence[Measurement], slots: tuple[float, float] | None) -> None:
        """`slots`: their period and offset in s, by time of sending since 1970; None where there are none.

        Raises `BadInput` when the calibration data are too few.
        """
        self._calibration = sorted(calibration, key=lambda part: part.begin_s)
        known = np.concatenate([part.values[part.answered] for part in self._calibration])
        if len(known) < _LEAST_SAMPLES:
            raise BadInput(
                f"{calibration[0].source}: {len(known)} answered samples calibrate no predictor, "
                f"at least {_LEAST_SAMPLES} do"
            )
        self._slots = slots or (0.0, 0.0)
        median = float(np.median(known))
        self._shift = _SHIFT * median if median > 0.0 else 1.0
        logs = np.log(np.maximum(known + self._shift, 1e-3 * self._shift))
        self._edges = _edges(logs)
        self._deviation = max(float(logs.std()), 1e-6)
        self._calibrated: dict[float, Any] = {}

    def forecasts(self, test: Measurement, horizon_s: float) -> Quantiles:
        """Forecasts of every answered sample of `test`, see `models.contract.Predictor`."""
        state = self._state(horizon_s)
        return _through(state, test)

    def begin(self, horizon_s: float) -> Live:
        """A forecaster for samples that come one after the other."""
        return Live(self._state(horizon_s))

    def _state(self, horizon_s: float) -> Any:
        """A forecaster of its own that has lived through the calibration data."""
        from testbed.measured.prediction import machine

        if not 0.0 <= horizon_s <= _LONGEST_HORIZON_S:
            raise BadInput(f"the horizon is {horizon_s:g} s, allowed: 0 to {_LONGEST_HORIZON_S:g}")
        if horizon_s not in self._calibrated:
            values = np.exp(self._edges) - self._shift
            settings = np.array([*self._slots, horizon_s, self._shift])
            state = machine.new_state(settings, self._edges, np.gradient(values), self._deviation)
            for part in self._calibration:
                _through(state, part)
            self._calibrated[horizon_s] = state
        state = copy.deepcopy(self._calibrated[horizon_s])
        machine.begin_recording(state)
        return state


class Live:
    """Told of each sample when it becomes known, it forecasts samples before they are sent."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def observe(self, sent_s: float, value: float) -> None:
        """The value (in the unit of the calibration data) of the sample sent at `sent_s` has become known."""
        from testbed.measured.prediction import machine

        machine.observe(self._state, sent_s, value)

    def forecast(self, sent_s: float) -> Array:
        """Quantiles at `LEVELS` of what a sample to be sent at `sent_s` will have, from what is known now."""
        from testbed.measured.prediction import machine

        quantiles = np.empty(len(LEVELS))
        machine.forecast(self._state, sent_s, LEVELS, quantiles)
        return quantiles


def _edges(logs: Array) -> Array:
    """Upper edges of the bins [bins], between the values that there are rather than at them."""
    by_quantiles = np.quantile(logs, np.linspace(0.001, 0.999, _BY_QUANTILES))
    evenly = np.linspace(logs.min() - _BELOW, logs.max() + _ABOVE, _EVENLY)
    nodes = np.unique(np.concatenate((by_quantiles, evenly)))
    apart = np.diff(nodes) > 1e-9
    nodes = nodes[np.concatenate(([True], apart))]
    result: Array = np.concatenate((0.5 * (nodes[1:] + nodes[:-1]), [nodes[-1]]))
    return result


def _through(state: Any, measurement: Measurement) -> Quantiles:
    from testbed.measured.prediction import machine

    samples = samples_of(measurement)
    out = np.empty((len(samples.values), len(LEVELS)), np.float32)
    machine.begin_recording(state)
    machine.run(state, samples.sent_s, samples.known_s, samples.values, samples.order, LEVELS, out)
    told = ~np.isnan(out[:, 0])
    if not math.isclose(float(told.mean()), 1.0):
        out, sent_s, values = out[told], samples.sent_s[told], samples.values[told]
        return Quantiles(sent_s, values, LEVELS, out)
    return Quantiles(samples.sent_s, samples.values, LEVELS, out)
