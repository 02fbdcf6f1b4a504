"""What every calibrated model of a measured path can do, and no more.

A kind of model is a module of this package with a `KIND`. `fit` sees calibration data only; what it returns
is frozen: plain parameters that can be written to a file, played by the emulator's own kernels
(`testbed.measured.play`, `link.model=FILE` of a run), and compared with data it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array, Measurement


class Fitted(Protocol):
    """A model whose parameters are frozen."""

    @property
    def name(self) -> str:
        """The kind's name, as `--model` takes it."""

    def parameters(self) -> dict[str, Any]:
        """Its parameters as JSON types, units in the keys; `Kind.read` takes them back."""

    def play(self, times_s: Array, seed: int) -> Array:
        """Values [n] that probes sent at `times_s` (POSIX seconds, not descending) meet, nan where lost.

        The emulator's kernels make them, in virtual time. Slots and other features tied to the wall clock
        lie where the calibration data had them; everything random is a function of `seed` alone.
        """


class Kind(Protocol):
    """How a model is calibrated."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """One line for the user."""

    def fit(self, calibration: Sequence[Measurement]) -> Fitted:
        """Parameters from the calibration data alone. Raises `BadInput` when the data cannot tell them."""

    def read(self, parameters: dict[str, Any]) -> Fitted:
        """The model that `parameters` describe. Raises `BadInput` naming the key."""


class Forecasts(Protocol):
    """Predictive distributions of samples, each made from what was known one horizon before."""

    #: [m] when the sample was sent, POSIX seconds
    times_s: Array
    #: [m] what came; lost samples are not scored
    observed: Array
    #: [q] ascending, in (0, 1)
    levels: Array
    #: [m, q] ascending along q
    quantiles: NDArray[np.float32]


class Predictor(Protocol):
    """An adaptive model: calibrated once, then told one sample after the other."""

    def forecasts(self, test: Measurement, horizon_s: float) -> Forecasts:
        """Forecasts of every answered sample of `test`.

        That of a sample sent at t uses the calibration data, and of `test` what had been received by
        t - `horizon_s`, and nothing later.
        """
