"""Whether a candidate may be carried out, by what the what-if predicts of it and by the stated limits."""

from __future__ import annotations

import math
from typing import Final

from testbed.twin.knowledge import Limits
from testbed.twin.whatif.job import DELAY, TASK, Change, Measures, Outcome

#: a rise of latency below this harms nobody, ms
_HARMLESS_MS: Final = 5.0
#: nor does a rise of loss below this
_HARMLESS_LOSS: Final = 0.02


def why_not(outcome: Outcome, metric: str, limits: Limits, way_back: bool = False) -> str:
    """Why it may not be carried out, in a few words; empty when it may. A way back need not be a gain."""
    if metric not in outcome.concerned:
        return "nothing is sent that it could help"
    _, _, change = outcome.concerned[metric]
    if not way_back:
        gain = -change.share.mean
        if not gain >= limits.least_gain:
            return f"predicted gain {gain:.0%}, least allowed {limits.least_gain:.0%}"
        if change.gain_probability < limits.confidence:
            said = f"{change.gain_probability:.0%}, least allowed {limits.confidence:.0%}"
            return f"probability of a gain {said}"
    return harm(outcome, limits)


def harm(outcome: Outcome, limits: Limits) -> str:
    """Which flow is predicted to suffer more than is allowed; empty when none is."""
    worst, said = 0.0, ""
    for name, change in outcome.changes.items():
        if name in (DELAY, TASK):
            continue
        share = change.share.mean
        certain = change.share.low > 0.0 and change.latency_ms.mean > _HARMLESS_MS
        if certain and share > limits.most_harm and share > worst:
            worst, said = (
                share,
                f"{name} would have {share:+.0%} latency, most allowed {limits.most_harm:+.0%}",
            )
        if change.loss.low > 0.0 and change.loss.mean > _HARMLESS_LOSS and change.loss.mean > worst:
            worst, said = change.loss.mean, f"{name} would lose {change.loss.mean:.1%} more"
    return said


def gain_ms(outcome: Outcome, metric: str) -> float:
    """Predicted fall of the latency that the candidate is for, ms; minus infinity when nothing is known."""
    if metric not in outcome.concerned:
        return -math.inf
    return -outcome.concerned[metric][2].latency_ms.mean


def of_metric(outcome: Outcome, metric: str) -> tuple[Measures, Measures, Change]:
    """As it is, with it, and the change, of the nodes that the candidate is for."""
    return outcome.concerned[metric]
