"""Tasks that took longer than believed: a slower server, or a machine that lets them wait.

A speed takes the same share of every task, long or short. A busy machine (a timer that fires late, a
processor given to others) adds time, mostly little and sometimes much, whatever the length of the task. Both
are fitted to the same tasks and their marginal likelihoods compared. Nothing is remembered here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

#: natural logarithms of speeds relative to the believed one that are looked at
_LOWER: Final = -np.linspace(0.04, 1.6, 157)
#: mean overheads that a busy machine has, s: what takes longer than a few of these is not explained by it
_LATE_S: Final = np.geomspace(0.0003, 0.02, 13)
#: share of tasks that tell nothing of either, and the range of logarithms over which these lie
_WILD, _WILD_RANGE = 0.05, 3.0
#: the least scatter of the logarithm of a long task's speed that is counted on
_LEAST_SD: Final = 0.005
#: log odds from which a server is called slower
_ODDS: Final = 2.0

Task = tuple[float, float, float]


def slower_rather_than_late(tasks: Sequence[Task], sd_log: float) -> bool:
    """Whether tasks are explained by a lower speed, and clearly better than by overheads.

    `tasks`: logarithm of each one's speed over the believed one, its service time in s, and by how much
    more than a long one's its logarithm scatters; `sd_log`: standard deviation of a long one's.

    Marginal likelihoods over uniform grids; a server's tasks scatter normally about its new speed,
    overheads are exponential with a mean common to all. Either has its share of tasks that tell nothing.
    """
    slower, late = np.zeros(len(_LOWER)), np.zeros(len(_LATE_S))
    wild = _WILD / _WILD_RANGE
    for log_speed, service_s, scale in tasks:
        sd = max(sd_log, _LEAST_SD) * scale
        fits = np.exp(-0.5 * ((log_speed - _LOWER) / sd) ** 2) / (math.sqrt(2.0 * math.pi) * sd)
        slower += np.log((1.0 - _WILD) * fits + wild)
        believed_s = service_s * math.exp(min(log_speed, 0.0))
        fast = math.exp(-0.5 * (max(log_speed, 0.0) / sd) ** 2)
        # densities of the logarithm: an overhead of one second more lowers it by one over the service time
        fits = fast * np.exp(-(service_s - believed_s) / _LATE_S) / _LATE_S * service_s
        late += np.log((1.0 - _WILD) * fits + wild)
    return _log_mean(slower) - _log_mean(late) > _ODDS


def _log_mean(logarithms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Logarithm of the mean of what these are the logarithms of."""
    most = float(logarithms.max())
    return most + math.log(float(np.exp(logarithms - most).mean()))
