"""The verdicts of a run: one sentence each, with the figure and the bound it is held against.

A verdict holds, fails, or is void: void when the run cannot answer the question (the emulator itself
was too late, the twin died, too little was observed), and then the reason stands in its place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from testbed.twin.matching import SHOWER

LATENESS_P99_US = 100.0
DETECTION_S = 5.0
#: a band that covers this share of what happens is neither blind nor meaningless; nominal is 0.90
PICP_BOUNDS = (0.75, 0.98)
#: with fewer scored windows of links, shares and skills are too uncertain to be judged
SCORED_WINDOWS = 100
OVERRUN_SHARE = 0.01
#: a prediction is due each window; after this much silence before the end the twin counts as gone
TWIN_SILENCE_S = 3.0


@dataclass(frozen=True)
class Verdict:
    """`holds` is None when the verdict is void."""

    name: str
    holds: bool | None
    figure: Any
    bound: Any
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The verdict as it stands in report.json."""
        return asdict(self)


def judge(report: dict[str, Any]) -> list[Verdict]:
    """Every verdict of a report whose other sections are complete."""
    lateness = _injection_lateness(report)
    verdicts = [
        _run_completed(report),
        _all_nodes_finished(report),
        _conservation(report),
        lateness,
        _epochs_on_time(report),
    ]
    if not report["twin"]["enabled"]:
        return verdicts
    alive = _twin_alive(report)
    reason = ""
    if lateness.figure is None:
        reason = f"nobody knows how late the emulator was ({lateness.text})"
    elif not lateness.holds:
        reason = f"the emulator itself was too late to judge a twin by it ({lateness.text})"
    elif not alive.holds:
        reason = alive.text
    elif not report["run"]["observations"]:
        reason = "nothing was observed"
    judged = [
        *_deviations_detected(report),
        _no_false_detection(report),
        _twin_skill(report),
        _twin_band(report),
    ]
    if reason:
        judged = [Verdict(v.name, None, v.figure, v.bound, reason) for v in judged]
    return [*verdicts, alive, *judged]


def _run_completed(report: dict[str, Any]) -> Verdict:
    run = report["run"]
    status = run.get("status") or "unknown"
    lasted, planned = run.get("duration_s") or 0.0, run.get("planned_duration_s")
    text = f"ran {lasted:.1f} s" + (f" of {planned:g} s planned" if planned else "") + f", status {status}"
    if status == "completed" and planned and lasted >= planned:
        text = f"ran the planned {planned:g} s, and {lasted - planned:.1f} s more until the network was empty"
    if run.get("problem"):
        text += f": {run['problem']}"
    return Verdict("run_completed", status == "completed", status, "completed", text)


def _all_nodes_finished(report: dict[str, Any]) -> Verdict:
    nodes = report["nodes"]
    lost = {name: n.get("status") or "unknown" for name, n in nodes.items() if n.get("status") != "finished"}
    if not nodes:
        return Verdict("all_nodes_finished", False, 0, 0, "no node is noted in run.json")
    text = f"all {len(nodes)} finished" if not lost else ", ".join(f"{k}: {v}" for k, v in lost.items())
    return Verdict("all_nodes_finished", not lost, len(lost), 0, text)


def _conservation(report: dict[str, Any]) -> Verdict:
    books = report["conservation"]
    total = books["total"]
    figure = None
    if total is not None:
        figure = abs(total["difference"]) + sum(abs(row["difference"]) for row in books["links"].values())
    return Verdict("conservation", books["balanced"], figure, 0, books["text"])


def _injection_lateness(report: dict[str, Any]) -> Verdict:
    injection = report["injection"]
    p99 = (injection["lateness_us"] or {}).get("p99")
    if p99 is None:
        return Verdict("injection_lateness", False, None, LATENESS_P99_US, "the channel recorded no lateness")
    mode = injection.get("scheduling") or "unknown scheduling"
    text = f"p99 {_us(p99)} us, bound {LATENESS_P99_US:.0f} us, {mode}"
    timer = (injection.get("timer_us") or {}).get("p99")
    if timer is not None:
        text += f"; a bare timer beside it: p99 {_us(timer)} us"
    return Verdict("injection_lateness", p99 <= LATENESS_P99_US, p99, LATENESS_P99_US, text)


def _us(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _epochs_on_time(report: dict[str, Any]) -> Verdict:
    epochs = report["injection"].get("epochs") or {}
    count, overruns = epochs.get("count"), epochs.get("overruns", 0)
    if not count:
        return Verdict("epochs_on_time", False, None, OVERRUN_SHARE, "no epoch of the link table is noted")
    if epochs.get("failure"):
        return Verdict("epochs_on_time", False, None, OVERRUN_SHARE, f"the epochs ended: {epochs['failure']}")
    share = overruns / count
    text = f"{overruns} of {count} link-table epochs overran"
    return Verdict("epochs_on_time", share <= OVERRUN_SHARE, share, OVERRUN_SHARE, text)


def _twin_alive(report: dict[str, Any]) -> Verdict:
    """It predicts the windows of the planned time; none is expected while the network drains."""
    twin, run = report["twin"], report["run"]
    lasted = run["observed_s"]
    last, status = twin["last_prediction_s"], twin["status"]
    if last is None:
        return Verdict(
            "twin_alive", False, None, lasted, f"the twin predicted nothing (its process: {status})"
        )
    until = min(last + twin["window_s"], lasted)
    alive = status == "finished" and lasted - until <= TWIN_SILENCE_S
    text = f"predicted up to {until:.1f} s of {lasted:.1f} s"
    if status != "finished":
        text = f"the twin {status}; it {text}"
    return Verdict("twin_alive", alive, until, lasted, text)


def _deviations_detected(report: dict[str, Any]) -> list[Verdict]:
    """Absent when nothing was to be detected, or when what there was began too late to be judged."""
    lasted = report["run"]["observed_s"]
    scripted = [d for d in report["twin"]["deviations"] if d["deviation"] != SHOWER]
    due = [d for d in scripted if d["detected"] or d["start_s"] + DETECTION_S <= lasted]
    if not due:
        return []
    missed = [d for d in due if not d["detected"]]
    delays = [d["delay_s"] for d in due if d["detected"] and d["delay_s"] is not None]
    text = ", ".join(
        f"{d['deviation']} at {d['target']} "
        + (f"after {d['delay_s']:.1f} s" if d["detected"] and d["delay_s"] is not None else "NOT detected")
        for d in due
    )
    return [Verdict("deviations_detected", not missed, max(delays, default=None), DETECTION_S, text)]


def _no_false_detection(report: dict[str, Any]) -> Verdict:
    false = [d for d in report["twin"]["detections"] if d["matches"] is None]
    text = "none" if not false else ", ".join(
        f"{d['kind']} at {d['target'] or d['where']}, {d['detected_s']:.1f} s" for d in false
    )  # fmt: skip
    return Verdict("no_false_detection", not false, len(false), 0, text)


def _twin_skill(report: dict[str, Any]) -> Verdict:
    delay = report["twin"]["delay"]
    skill = delay.get("skill_constant")
    if skill is None:
        return Verdict("twin_skill", None, None, 0.0, "no link was observed long enough to have a baseline")
    if delay["n"] < SCORED_WINDOWS:
        return Verdict("twin_skill", None, skill, 0.0, _too_few(delay["n"]))
    text = f"hop delay predicted with skill {skill:.2f} over the constant baseline"
    low, high = delay.get("skill_constant_interval") or (skill, skill)
    text += f" (90 % interval {low:.2f} to {high:.2f})"
    if skill <= 0.0 <= high:
        # Neither shown to be better nor to be worse: too little happened in this run to tell.
        return Verdict("twin_skill", None, skill, 0.0, text)
    return Verdict("twin_skill", skill > 0.0, skill, 0.0, text)


def _too_few(windows: int) -> str:
    return f"{windows} windows of links were scored; a share of fewer than {SCORED_WINDOWS} says little"


def _twin_band(report: dict[str, Any]) -> Verdict:
    delay = report["twin"]["delay"]
    picp, (low, high) = delay.get("picp90"), PICP_BOUNDS
    if picp is None or delay["n"] < SCORED_WINDOWS:
        return Verdict("twin_band", None, picp, [low, high], _too_few(delay["n"]))
    text = f"{picp:.1%} of the window means lay in the 90 % band, allowed {low:.0%} to {high:.0%}"
    return Verdict("twin_band", low <= picp <= high, picp, [low, high], text)
