"""Quantiles against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from emulator.links.quantiles import gamma_quantile, normal_quantile

#: relative errors: AS 241 is good to the last digits, the gamma quantile to the last Newton step
NORMAL_ERROR = 1e-14
GAMMA_ERROR = 1e-8


@pytest.mark.parametrize(
    "p", [1e-290, 1e-100, 1e-12, 1e-6, 0.01, 0.074, 0.076, 0.4, 0.6, 0.93, 0.999, 1 - 1e-12]
)
def test_normal_quantiles(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(special.ndtri(p), rel=NORMAL_ERROR)


def test_the_ends_have_finite_quantiles() -> None:
    assert np.isfinite([normal_quantile(0.0), normal_quantile(1.0)]).all()
    assert normal_quantile(0.5) == 0.0


@pytest.mark.parametrize("shape", [0.05, 0.3, 1.0, 1.5, 7.0, 80.0, 1000.0])
def test_gamma_quantiles(shape: float) -> None:
    for z in np.linspace(-8.0, 8.0, 65):
        exact = (
            special.gammaincinv(shape, special.ndtr(z))
            if z < 0
            else special.gammainccinv(shape, special.ndtr(-z))
        )
        if exact > np.finfo(float).tiny:
            assert gamma_quantile(shape, z) == pytest.approx(exact, rel=GAMMA_ERROR), z
