"""The dashboard "Testbed run": one run, live or afterwards, and one of its links in detail.

What is observed comes from the channel and the nodes, what is predicted from the twin, and the detections
are the twin's. What the plant really did (`plant_event`) is an annotation of its own, off at first, so that
one can watch as the twin does and look at the truth afterwards; so are handovers, of which there are many.
"""

from __future__ import annotations

from typing import Any, Final

from dashboards.grafana.panels import (
    BLUE,
    DATASOURCE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Panel,
    Query,
    arranged,
    band,
    coloured,
    stat,
    table,
    time_series,
)

UID: Final = "testbed-run"
TITLE: Final = "Testbed run"
FILE_NAME: Final = "testbed_run.json"
#: the lateness that a run may have at the 99th percentile before its verdicts are void, us
LATENESS_LIMIT_US: Final = 100

# equal, not like: names of satellites have brackets in them, which mean something in a pattern
_RUN: Final = "\"run\" = '$run' AND $timeFilter"
_EACH: Final = "GROUP BY time($__interval)"


def _of_link(measurement: str, what: str, tag: str = "link", where: str = "") -> str:
    condition = f"\"{tag}\" = '$link' AND {_RUN}" + (f" AND {where}" if where else "")
    return f'SELECT {what} FROM "{measurement}" WHERE {condition} {_EACH} fill(none)'


def _of_run(measurement: str, what: str, by: str = "", where: str = "") -> str:
    condition = _RUN + (f" AND {where}" if where else "")
    each = _EACH + (f', "{by}"' if by else "")
    return f'SELECT {what} FROM "{measurement}" WHERE {condition} {each} fill(none)'


def _observed(quantity: str) -> Query:
    # from the residual, which is stamped as the prediction is: with the start of its window
    return Query(
        _of_link("residual", 'mean("observed") AS "observed"', "target", f"\"quantity\" = '{quantity}'")
    )


def _predicted(quantity: str, *more: str) -> Query:
    what = ['mean("mean") AS "predicted"', 'mean("lo90") AS "lower"', 'mean("hi90") AS "upper"', *more]
    return Query(_of_link("prediction", ", ".join(what), "target", f"\"quantity\" = '{quantity}'"))


_RECENT_OF_ALL: Final = "\"target\" = 'all' AND \"over\" = 'recent'"
_COMPARED: Final = (*band("lower", "upper", BLUE), coloured("predicted", BLUE), coloured("observed", ORANGE))
_WITH_BAND: Final = "The band holds 90 % of the windows if the twin is right about its own uncertainty."


def _sound() -> list[Panel]:
    last = 'last("{}") AS "{}"'
    flow = ", ".join(last.format(name, name) for name in ("ingress", "delivered", "dropped", "in_flight"))
    # a second's counters are read one after the other while packets fly; only the end of a run is exact
    return [
        stat("Entered", "Packets that entered the channel.", Query(_of_run("channel", 'last("ingress")'))),
        stat(
            "Delivered",
            "Packets handed to their destination.",
            Query(_of_run("channel", 'last("delivered")')),
        ),
        stat("Dropped", "Packets dropped, by any named cause.", Query(_of_run("channel", 'last("dropped")'))),
        stat("In flight", "Packets inside the channel now.", Query(_of_run("channel", 'last("in_flight")'))),
        stat(
            "Late epochs",
            "Updates of the link table that were not ready at their deadline.",
            Query(_of_run("channel", 'last("epoch_overruns")')),
        ),
        stat(
            "Detections",
            "Deviations the twin has reported.",
            Query(f'SELECT count("size") FROM "detection" WHERE {_RUN}'),
        ),
        time_series(
            "Conservation",
            "What entered is delivered, dropped by name or still in flight.",
            Query(_of_run("channel", flow)),
        ),
        time_series(
            "Lateness of releases",
            f"Actual minus due time, of all packets so far. Above {LATENESS_LIMIT_US} us at the 99th "
            "percentile the emulator itself was too late, and verdicts are void.",
            Query(
                _of_run(
                    "channel",
                    'last("lateness_us_p50") AS "p50", last("lateness_us_p99") AS "p99", '
                    'last("lateness_us_max") AS "max"',
                )
            ),
            unit="µs",
            limit=LATENESS_LIMIT_US,
            overrides=[coloured("max", GREY)],
        ),
    ]


def _link() -> list[Panel]:
    causes = {"lost": "radio", "dropped_queue": "queue full", "dropped_down": "link down"}
    lost = ", ".join(f'sum("{name}") AS "{cause}"' for name, cause in causes.items())
    return [
        time_series(
            "Delay of $link",
            "Mean delay of a window: queue, serialisation, propagation and processing. " + _WITH_BAND,
            _predicted("delay_ms", 'mean("baseline_propagation") AS "propagation only"'),
            _observed("delay_ms"),
            unit="ms",
            overrides=[*_COMPARED, coloured("propagation only", GREY)],
        ),
        time_series(
            "Signal-to-noise ratio of $link",
            "As the modem reports it, and as the twin expects it from geometry and what it has learned.",
            _predicted("snr_db"),
            Query(_of_link("link", 'mean("snr_db") AS "observed"')),
            unit="dB",
            overrides=_COMPARED,
        ),
        time_series(
            "Throughput of $link",
            "Bits per second offered to the link and carried by it.",
            Query(
                _of_link(
                    "link",
                    '8 * sum("bytes_in") / sum("window_s") AS "offered", '
                    '8 * sum("bytes_out") / sum("window_s") AS "carried"',
                )
            ),
            Query(
                _of_link(
                    "prediction", 'mean("mean") AS "predicted"', "target", "\"quantity\" = 'throughput_bps'"
                )
            ),
            unit="bps",
            overrides=[coloured("predicted", BLUE), coloured("carried", ORANGE)],
        ),
        time_series(
            "Packets lost on $link",
            "Per interval and cause.",
            Query(_of_link("link", lost)),
            overrides=[coloured("radio", RED)],
        ),
    ]


def _network() -> list[Panel]:
    return [
        time_series(
            "Delay, every link",
            "Mean of the packets that completed the hop.",
            Query(_of_run("link", 'mean("delay_mean_ms")', "link"), "$tag_link"),
            unit="ms",
        ),
        time_series(
            "Loss, every link",
            "Packets lost by the radio, of those offered.",
            Query(_of_run("link", 'sum("lost") / sum("packets_in")', "link"), "$tag_link"),
            unit="percentunit",
        ),
        time_series(
            "Delay of flows",
            "From the sender's stamp to the receiver, by source.",
            Query(_of_run("flow", 'mean("delay_mean_ms")', "source"), "$tag_source"),
            unit="ms",
        ),
        time_series(
            "Age of information",
            "Age of the newest reading that the receiver has, by source.",
            Query(_of_run("flow", 'max("age_s")', "source"), "$tag_source"),
            unit="s",
        ),
    ]


def _servers() -> list[Panel]:
    return [
        time_series(
            "Service rate of servers",
            "Cycles per second while serving, and the twin's belief.",
            Query(_of_run("task", 'sum("cycles") / sum("service_s")', "node"), "$tag_node observed"),
            Query(
                _of_run("prediction", 'mean("mean")', "target", "\"quantity\" = 'service_rate_hz'"),
                "$tag_target predicted",
            ),
            unit="hertz",
        ),
        time_series(
            "Latency of offloaded tasks",
            "From offering a task to its answer, by server.",
            Query(_of_run("offload", 'mean("latency_s")', "server"), "$tag_server mean"),
            Query(_of_run("offload", 'max("latency_s")', "server"), "$tag_server longest"),
            unit="s",
        ),
    ]


def _twin() -> list[Panel]:
    return [
        time_series(
            "Surprise: delay",
            "Observed minus predicted, in units of its spread and whitened. A sound twin stays within 3.",
            Query(_of_run("residual", 'mean("z")', "target", "\"quantity\" = 'delay_ms'"), "$tag_target"),
        ),
        time_series(
            "Within the 90 % band",
            "Share of observations inside the predicted band, by quantity; 0.9 would be exact.",
            Query(_of_run("residual", 'mean("inside90")', "quantity"), "$tag_quantity"),
            unit="percentunit",
        ),
        table(
            "Detections",
            "What the twin reported, with its estimate of the size and of when it began (run time, s).",
            'SELECT "kind", "target", "where", "size", "size_sd", "unit", "onset_s", "detected_s" '
            f'FROM "detection" WHERE {_RUN}',
        ),
        time_series(
            "Sizes of what was detected",
            "Each deviation while it lasts: the twin's estimate and the interval that holds its size 19 "
            "times in 20, in the unit of its kind.",
            Query(_of_run("estimate", 'last("size")', "target"), "$tag_target"),
            Query(_of_run("estimate", 'last("low95")', "target"), "$tag_target, lower"),
            Query(_of_run("estimate", 'last("high95")', "target"), "$tag_target, upper"),
        ),
        time_series(
            "Age of what the twin knows",
            "99th percentile of the age of information, by kind of telemetry.",
            Query(_of_run("sync", 'last("age_p99_s")', "of", "\"subject\" = 'age'"), "$tag_of"),
            unit="s",
        ),
        time_series(
            "Better than the climatology",
            "1 less the twin's CRPS over that of the distribution seen at first: above 0 the twin is better. "
            "All targets together, of the last ten seconds.",
            Query(
                _of_run("fidelity", 'last("crps_skill_climatology")', "quantity", _RECENT_OF_ALL),
                "$tag_quantity",
            ),
        ),
        time_series(
            "Error of predictions of delay",
            "Mean absolute error of a window's delay, and first Wasserstein distance of single packets.",
            Query(
                _of_run(
                    "fidelity",
                    'last("mae") AS "of windows", last("w1") AS "of packets"',
                    where=f"{_RECENT_OF_ALL} AND \"quantity\" = 'delay_ms'",
                )
            ),
            unit="ms",
        ),
        table(
            "Actions",
            "What the twin proposed, tried on itself and ordered, and what came of it.",
            'SELECT "id", "step", "policy", "action", "cause", "predicted_ms", "observed_ms", '
            f'"recovered_share", "holds", "why" FROM "action" WHERE {_RUN}',
        ),
        table(
            "What comes next",
            "By terminal: who serves it, and its next handover (run time, s).",
            'SELECT "target", "serving", "next", "next_s", "handovers" '
            f'FROM "outlook" WHERE {_RUN} AND "serving" != \'\'',
        ),
        table(
            "Events", "The life of the run and its nodes.", f'SELECT "what", "text" FROM "event" WHERE {_RUN}'
        ),
    ]


def _nodes() -> list[Panel]:
    rate = 'non_negative_derivative(last("{}"), 1s)'
    return [
        time_series(
            "Packets sent by nodes",
            "Per second.",
            Query(_of_run("node", rate.format("sent"), "node"), "$tag_node"),
            unit="pps",
            width=8,
        ),
        time_series(
            "Packets received by nodes",
            "Per second. A node whose line ends reports no more.",
            Query(_of_run("node", rate.format("received"), "node"), "$tag_node"),
            unit="pps",
            width=8,
        ),
        time_series(
            "Processor time of nodes",
            "Share of one core used by the node's own process.",
            Query(_of_run("node", rate.format("cpu_s"), "node"), "$tag_node"),
            unit="percentunit",
            width=8,
        ),
    ]


def _annotation(
    name: str, colour: str, query: str, text: str, tags: str, *, on: bool = True
) -> dict[str, Any]:
    columns = {"query": query, "textColumn": text, "tagsColumn": tags, "titleColumn": "", "timeEndColumn": ""}
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": on,
        "hide": False,
        "iconColor": colour,
        **columns,
        # the same again where newer versions look for it
        "target": {"refId": "Anno", "fromAnnotations": True, **columns},
    }


def _annotations() -> list[dict[str, Any]]:
    deviation = f'SELECT "target", "kind", "where", "size" FROM "{{}}" WHERE {_RUN}'
    handovers = f'SELECT "terminal", "from", "to", "t_s" FROM "handover" WHERE {_RUN}'
    truth = f'SELECT "target", "deviation", "what" FROM "plant_event" WHERE {_RUN}'
    return [
        _annotation("Detections", RED, deviation.format("detection"), "target", "kind,where"),
        _annotation("Recoveries", GREEN, deviation.format("recovery"), "target", "kind,where"),
        # with many terminals they would cover everything else
        _annotation("Handovers", BLUE, handovers, "terminal", "from,to", on=False),
        _annotation("Truth: what the plant did", GREY, truth, "target", "deviation,what", on=False),
    ]


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,  # with every change of the time range: runs come and go
        "sort": 2 if name == "run" else 1,  # the newest run of a scenario first
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {},
    }


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana stores it."""
    return {
        "uid": UID,
        "title": TITLE,
        "tags": ["testbed"],
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,  # one crosshair on all panels
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {
            "list": [
                _variable("run", "Run", 'SHOW TAG VALUES FROM "channel" WITH KEY = "run"'),
                _variable(
                    "link",
                    "Link",
                    'SHOW TAG VALUES FROM "link" WITH KEY = "link" WHERE "run" = \'$run\'',
                ),
            ]
        },
        "annotations": {"list": _annotations()},
        "panels": arranged(
            {
                "Is the run sound?": _sound(),
                "Link $link": _link(),
                "The twin": _twin(),
                "Network": _network(),
                "Servers": _servers(),
                "Nodes": _nodes(),
            }
        ),
    }
