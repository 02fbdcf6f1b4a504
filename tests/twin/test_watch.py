"""The watch over a link that falls silent: how long is too long, and what is no silence."""

from __future__ import annotations

from nodes.wire import Record
from testbed.twin.events import Events
from testbed.twin.watch import MissingRate, SilenceWatch
from testbed.twin.watching import LinkWatching


def test_links_are_given_longer_to_report_where_reports_are_often_missing() -> None:
    steady, lossy = MissingRate(), MissingRate()
    for _ in range(500):
        steady.add(0, 20)
        lossy.add(4, 20)
    assert steady.windows_until(1e-8) == 5
    assert lossy.windows_until(1e-8) > 10


def test_an_idle_link_that_reports_its_snr_is_not_silent() -> None:
    watch = SilenceWatch()
    for number in range(50):
        watch.reported(number * 0.5, 0.0, 0.0, has_snr=True)
    assert watch.down_windows == 0


def test_a_modem_that_reports_no_snr_any_more_and_carries_nothing_is_silent() -> None:
    watch = SilenceWatch()
    for number in range(20):
        watch.reported(number * 0.5, 3.0, 0.0, has_snr=True)
    for number in range(20, 26):
        watch.reported(number * 0.5, 0.0, 0.0, has_snr=False)
    assert (watch.down_windows, watch.onset_s) == (6, 10.0)


def outage(passes: bool) -> list[str]:
    """What is said of a link whose reports stop while another's go on; `passes`: packets still cross it."""
    watching = LinkWatching(Events(0.5), 1e-8, 0.5)
    watching.passes = lambda link, _since_s: passes and link == "a>b"
    for link in ("a>b", "c>d"):
        watching.begin(link)
    said = []
    for number in range(60):
        names = ("a>b", "c>d") if number < 20 else ("c>d",)
        reports = {name: Record(0, "link", {"link": name}, {"packets_out": 5}) for name in names}
        said += watching.silence(("a>b", "c>d"), reports, number * 0.5, 0, (number + 1) * 0.5)
    return [record.tags["target"] for record in said]


def test_a_link_that_does_not_report_is_down_unless_packets_are_known_to_cross_it() -> None:
    assert outage(passes=False) == ["a>b"]
    assert outage(passes=True) == []
