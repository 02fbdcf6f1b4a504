"""A run folder becomes report.json, report.html and a summary, whole or broken off."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from emulator.accounting import DROPS, FATE_NAMES
from testbed import report
from testbed.errors import BadInput
from testbed.report import causes


def verdicts(rendered):
    return {v["name"]: v for v in rendered.document["verdicts"]}


def summary(rendered, width=100):
    console = Console(file=io.StringIO(), width=width)
    report.print_summary(rendered, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def good(folder_class, tmp_path_factory):
    return report.render(folder_class(tmp_path_factory.mktemp("good") / "run").fill().write())


def test_a_good_run_holds_every_verdict_and_exits_with_zero(good):
    assert [name for name, v in verdicts(good).items() if not v["holds"]] == []
    assert good.exit_status == 0


def test_report_json_has_the_keys_that_stay(good):
    content = json.loads((good.folder / "report.json").read_text())
    assert {"run", "conservation", "injection", "links", "nodes", "twin", "verdicts"} <= content.keys()
    assert content["conservation"]["balanced"] is True
    for key in ("lateness_us", "delay_error_us"):
        assert {"p50", "p99", "p999", "max"} <= content["injection"][key].keys()
    assert {"fidelity", "calibration", "detections", "actions"} <= content["twin"].keys()
    assert all({"name", "holds", "figure", "bound"} <= v.keys() for v in content["verdicts"])


def test_report_json_is_finite_though_an_observation_is_not(folder):
    made = folder().fill()
    made.add(1.0, "link", {"link": "a>b", "kind": "access"}, window_s=0.5, packets_out=0, snr_db=None)
    path = made.write()
    report.render(path)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    json.loads((path / "report.json").read_text(), parse_constant=refuse)


def test_satellites_left_out_and_the_age_of_elements_are_told_wherever_a_run_is_reported(folder):
    made = folder().fill()
    said = [
        "satellites left out: 1 (OLD-1: it has decayed)",
        "4 satellites; epochs are 1.50 days from the start",
    ]
    for text in said:
        made.add(-1.0, "event", {"what": "elements", "source": "channel"}, text=text)
    made.add(-1.0, "event", {"what": "other", "source": "channel"}, text="of no matter")
    rendered = report.render(made.write())
    assert json.loads((rendered.folder / "report.json").read_text())["elements"] == said
    assert all(text in summary(rendered, width=200) for text in said)
    assert all(text in (rendered.folder / "report.html").read_text() for text in said)


def test_a_run_without_elements_says_nothing_of_them(good):
    assert good.document["elements"] == []
    assert "elements" not in summary(good)


def test_the_copy_asked_for_equals_report_json(folder, tmp_path):
    rendered = report.render(folder().fill().write(), tmp_path / "elsewhere" / "copy.json")
    assert (tmp_path / "elsewhere" / "copy.json").read_text() == (rendered.folder / "report.json").read_text()


def test_rendering_again_gives_the_same_report(good):
    before = (good.folder / "report.json").read_text()
    report.render(good.folder)
    assert (good.folder / "report.json").read_text() == before


def test_the_page_loads_nothing_from_anywhere(good):
    html = (good.folder / "report.html").read_text()
    assert not re.search(r"https?://|@import|<script|<link|<img", html)
    assert set(re.findall(r"""(?:src|href)=["']([^"']{1})""", html)) <= {"#", "d"}


def test_the_page_shows_every_figure_a_whole_run_has(good):
    html = (good.folder / "report.html").read_text()
    for label in (
        "Map of",
        "Elevation",
        "Hop delay",
        "Whitened",
        "Histograms",
        "Throughput",
        "Service rates",
        "Dev",
    ):
        assert f'aria-label="{label}' in html


def test_identifiers_inside_the_figures_are_unique(good):
    found = re.findall(r' id="([^"]+)"', (good.folder / "report.html").read_text())
    assert len(found) == len(set(found))


def test_figures_follow_the_colour_scheme_of_the_reader(good):
    html = (good.folder / "report.html").read_text()
    figures = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert "var(--ink)" in figures
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", figures)) == set()


def test_names_from_the_run_cannot_inject_markup(folder):
    made = folder()
    made.info["id"] = "<script>alert(1)</script>"
    made.info["nodes"]["<b>bold</b>"] = {"role": "guest", "status": "<i>lost</i>"}
    rendered = report.render(made.fill().write())
    html = (rendered.folder / "report.html").read_text()
    assert "<script" not in html
    assert "<b>bold" not in html
    assert "<i>lost" not in html


def test_the_summary_names_verdicts_detections_and_where_the_report_is(good):
    text = summary(good, width=200)
    for expected in ("twin skill", "attenuation at gateway", "hop delay", "report.html", "p99", "in flight"):
        assert expected in text
    assert len(text.splitlines()) <= 40


def test_markup_in_a_sentence_of_the_run_is_printed_as_it_is(folder):
    made = folder(deviations=False).fill()
    made.info["nodes"]["sensor-1"]["status"] = "killed [bold]hard[/nothing]"
    assert "[bold]hard[/nothing]" in summary(report.render(made.write()), width=160)


def test_a_missing_folder_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        report.render(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="not a run folder"):
        report.render(tmp_path)


def test_what_a_store_did_not_take_is_told_everywhere(folder):
    path = folder().fill().write()
    info = json.loads((path / "run.json").read_text())
    info["telemetry"]["sentences"] = ["influxdb: 7 bytes of telemetry.jsonl not in it"]
    (path / "run.json").write_text(json.dumps(info))
    rendered = report.render(path)
    assert rendered.document["problems"] == info["telemetry"]["sentences"]
    assert "note: influxdb: 7 bytes of telemetry.jsonl not in it" in summary(rendered)
    assert "<li>influxdb: 7 bytes of telemetry.jsonl not in it</li>" in (path / "report.html").read_text()


@pytest.mark.parametrize("name", ["run.json", "telemetry.jsonl", "scenario.json", "public.json"])
def test_a_missing_file_is_named_and_the_rest_is_reported(folder, name):
    path = folder().fill().write()
    (path / name).unlink()
    rendered = report.render(path)
    assert any(name in problem for problem in rendered.document["problems"])
    assert name in (path / "report.html").read_text()
    assert name in summary(rendered, width=300)


def test_damaged_lines_cost_themselves_only(folder):
    path = folder().fill().write()
    telemetry = path / "telemetry.jsonl"
    whole = report.render(path).document["telemetry"]["records"]
    lines = telemetry.read_bytes().splitlines(keepends=True)
    telemetry.write_bytes(b"".join([*lines[:5], b'{"broken": \n', *lines[5:], b'{"t_ns": 1, "meas']))
    rendered = report.render(path)
    assert rendered.document["telemetry"]["records"] == whole
    assert any("2 line(s)" in problem for problem in rendered.document["problems"])


def test_a_run_that_recorded_nothing_still_has_a_report(folder):
    rendered = report.render(folder().write())
    assert rendered.exit_status == 1
    assert not verdicts(rendered)["twin_alive"]["holds"]
    assert (rendered.folder / "report.html").exists()
    assert "twin alive" in summary(rendered)


def test_a_broken_figure_costs_the_page_and_not_the_verdicts(folder, monkeypatch):
    from testbed.report import channel_figures

    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(channel_figures, "traffic", fail)
    rendered = report.render(folder().fill().write())
    assert any("no ink" in problem for problem in rendered.document["problems"])
    assert rendered.exit_status == 0
    assert (rendered.folder / "report.json").exists()


def test_the_page_of_a_minute_of_a_laptop_run_stays_small(folder):
    rendered = report.render(folder(duration_s=60.0, links=24).fill().write())
    assert (rendered.folder / "report.html").stat().st_size < 3_000_000


def rich_channel(folder):
    """A run whose channel had copies, two classes of traffic, programs behind IP interfaces, and CoDel."""
    made = folder().fill()
    channel = made.info["channel"]
    counters = channel["counters"]
    counters |= {"copied": 40, "damaged": 7, "ip_packets": 2_000, "delivered": 14_800}
    counters["ingress"] = 17_000
    counters["fates"] = {"radio_loss": 1_600, "queue_delay": 420, "peer_gone": 205}
    name, row = next(iter(channel["links"].items()))
    row |= {
        "copied": 40,
        "rerouted": 5,
        "packets_out": 2_600,
        "drops": {"queue_delay": 420, "radio_loss": 12},
    }
    row["classes"] = {
        "0": {"packets_in": 2_000, "packets_out": 1_600, "drops": {"queue_delay": 400}},
        "3": {"packets_in": 1_000, "packets_out": 1_000, "drops": {"queue_delay": 20, "radio_loss": 12}},
    }
    time = {"p50": 3.0, "p99": 77.7, "p999": 80.0, "max": 90.0, "mean": 4.0, "count": 100}
    channel |= {
        "substrate_us": time, "hand_over_us": {"in_force": time, "taking": time}, "cpu_share": 0.17,
        "per_link": {name: {"lateness_us": time, "delay_error_us": time}, "others": {"lateness_us": {}}},
    }  # fmt: skip
    return made, name


def test_the_channels_own_measurements_are_in_report_json(folder):
    made, name = rich_channel(folder)
    injection = report.render(made.write()).document["injection"]
    assert injection["substrate_us"]["p99"] == 77.7
    assert injection["hand_over_us"]["taking"]["p99"] == 77.7
    assert injection["cpu_share"] == 0.17
    assert injection["per_link"][name]["lateness_us"]["count"] == 100


def test_the_page_explains_each_cause_and_says_where_it_was(folder):
    made, name = rich_channel(folder)
    html = (report.render(made.write()).folder / "report.html").read_text()
    assert "CoDel" in html
    assert f"{name.replace('>', ' → ')} 420" in html
    assert "not on a link" in html  # nobody was there to take it: that is at the end of all links


def test_the_page_shows_copies_classes_and_exactness_by_link(folder):
    made, _ = rich_channel(folder)
    html = (report.render(made.write()).folder / "report.html").read_text()
    for expected in (
        "By traffic class",
        "copied",
        "rerouted",
        "40 copies",
        "2,000 of those that entered",
        "7 of those delivered had damaged bits",
        "substrate: ",
        "17% of one core",
        "Exactness by link: 1",
    ):
        assert expected in html


def test_the_summary_adds_copies_to_what_came_in(folder):
    made, _ = rich_channel(folder)
    text = summary(report.render(made.write()), width=200)
    assert "17,000 in + 40 copies = 14,800 delivered (7 of them damaged) + 2,225 dropped" in text
    assert "dropped (radio loss 1,600, queue delay 420" in text
    assert "+ 15 in flight" in text
    assert "taken over in 77.7 us, p99" in text
    assert "17% of one core, balanced" in text


def test_causes_beside_a_link_are_text_that_may_wrap(folder):
    made, _ = rich_channel(folder)
    html = (report.render(made.write()).folder / "report.html").read_text()
    assert "<td>queue delay 420, radio loss 12</td>" in html


def test_an_ordinary_run_has_no_columns_of_zeros(good):
    html = (good.folder / "report.html").read_text()
    for absent in ("copied", "damaged", "rerouted", "By traffic class", "copies"):
        assert absent not in html


@pytest.mark.parametrize(("times", "said"), [(1, "started again once"), (3, "started again 3 times")])
def test_a_twin_that_was_started_again_is_told_of(folder, times, said):
    made = folder().fill()
    made.info["twin_restarts"] = times
    rendered = report.render(made.write())
    assert said in summary(rendered, width=200)
    assert said in (rendered.folder / "report.html").read_text()
    assert json.loads((rendered.folder / "report.json").read_text())["twin"]["restarts"] == times


def test_nothing_is_said_of_a_twin_that_was_not_there(folder):
    made = folder().fill(twin_until_s=-1.0)
    made.info["twin_enabled"] = False
    made.records = [r for r in made.records if r["measurement"] not in ("detection", "recovery")]
    rendered = report.render(made.write())
    text, html = summary(rendered, width=200), (rendered.folder / "report.html").read_text()
    assert "not detected" not in text
    assert "no twin was there" in text
    assert "This run had no twin." in html
    assert "not detected" not in html
    assert "deviations detected" not in html


def test_every_cause_of_a_drop_is_explained():
    assert causes.MEANINGS.keys() == {FATE_NAMES[fate] for fate in DROPS}


# --- what the twin said of itself -------------------------------------------------------------


def talkative(folder):
    """A run whose twin told sizes with intervals, its fidelity, its ages and what comes next."""
    made = folder().fill()
    kind = {"kind": "attenuation", "target": "gateway", "where": "gateway"}
    made.add(10.0, "estimate", kind, size=7.9, size_sd=0.2, low95=7.5, high95=8.3, unit="dB")
    for t_s in (20.0, 30.0):
        for quantity in ("delay_ms", "snr_db"):
            tags = {"target": "all", "quantity": quantity, "over": "recent"}
            made.add(t_s, "fidelity", tags, n=40, mae=0.2, picp90=0.91, crps_skill_climatology=0.42)
        ages = {
            "sources": 6,
            "age_p50_s": 0.31,
            "age_p99_s": 0.77,
            "age_p99_periods": 1.54,
            "alignment": 0.987,
        }
        made.add(t_s, "sync", {"subject": "age", "of": "link"}, **ages)
        right = {"targets": 6, "stale_p50_s": 0.3, "stale_p99_s": 1.9, "right": 0.955}
        made.add(t_s, "sync", {"subject": "staleness", "of": "delay_ms"}, **right)
        coming = {
            "serving": "sat-1",
            "next": "sat-9",
            "next_s": 77.5,
            "handovers": 3,
            "known_until_s": 1800.0,
        }
        made.add(t_s, "outlook", {"target": "field-1"}, **coming)
        made.add(t_s, "outlook", {"target": "field-1/up", "ahead_s": "60"}, link="field-1>sat-1", snr_db=9.0)
    return report.render(made.write())


def test_causes_are_laid_beside_what_the_plant_did(good):
    assert good.document["twin"]["confusion"] == {
        "rain": {"attenuation": 1},
        "slow_server": {"slow_server": 1},
    }
    assert "Causes given to what the plant did" in (good.folder / "report.html").read_text()


def test_a_size_is_shown_with_the_interval_it_was_told_with_and_as_known_in_the_end(folder):
    rendered = talkative(folder)
    found = next(d for d in rendered.document["twin"]["detections"] if d["kind"] == "attenuation")
    assert found["low95"] is None  # this twin told none with the detection
    assert found["in_the_end"]["high95"] == 8.3
    assert "7.9 ± 0.2 dB (7.5 to 8.3)" in (rendered.folder / "report.html").read_text()


def test_the_course_of_fidelity_is_kept_and_drawn(folder):
    rendered = talkative(folder)
    course = rendered.document["twin"]["fidelity_over_time"]["snr_db"]
    assert (course["t_s"], course["crps_skill_climatology"]) == ([20.0, 30.0], [0.42, 0.42])
    assert course["w1"] == [None, None]
    html = (rendered.folder / "report.html").read_text()
    assert 'aria-label="Fidelity of the twin over time"' in html


def test_ages_of_what_the_twin_knows_are_reported_wherever_a_run_is(folder):
    rendered = talkative(folder)
    html = (rendered.folder / "report.html").read_text()
    assert rendered.document["twin"]["synchronisation"]["age"]["link"]["alignment"] == 0.987
    assert "Age of information" in html
    assert "98.7 %" in html
    assert "age p50 0.31 s, p99 0.77 s (1.5 periods), 98.7% of the planned updates" in summary(rendered, 160)


def test_the_next_handovers_are_told(folder):
    rendered = talkative(folder)
    assert rendered.document["twin"]["outlook"]["field-1"]["next_s"] == 77.5
    assert list(rendered.document["twin"]["outlook"]) == ["field-1"]
    assert "sat-9" in (rendered.folder / "report.html").read_text()


def test_a_run_whose_twin_said_nothing_of_the_kind_is_reported_without_it(good):
    twin = good.document["twin"]
    assert (twin["fidelity_over_time"], twin["synchronisation"], twin["outlook"]) == ({}, {}, {})
    html = (good.folder / "report.html").read_text()
    assert "How closely the twin follows" not in html
    assert "Fidelity of the twin over time" not in html


def test_edge_twins_are_told_of_with_their_agreement_and_what_was_reconciled(folder):
    made = folder().fill()
    made.info["edges"] = {
        "edge-north": {
            "places": ["field", "gateway"], "status": "finished", "restarts": 0,
            "counters": {"windows": 40, "told": 30, "told_bytes": 12_000},
        }
    }  # fmt: skip
    seen = {"states": 20, "common": 20, "agreeing": 19, "silent_s": 0.0, "version": 5}
    for t_s, event, fields in (
        (4.0, "seen", seen),
        (6.0, "reconciled", {**seen, "late_events": 1}),
        (6.0, "late", {"happened_s": 3.5, "heard_s": 6.0}),
    ):
        tags = {
            "edge": "edge-north",
            "event": event,
            "what": "detection",
            "kind": "rain",
            "target": "gateway",
        }
        made.add(t_s, "hierarchy", tags, **fields)
    rendered = report.render(made.write())
    text, html = summary(rendered, width=200), (rendered.folder / "report.html").read_text()
    edge = json.loads((rendered.folder / "report.json").read_text())["twin"]["edges"]["edge-north"]
    assert edge["agreeing_share"] == pytest.approx(0.95)
    assert [one["late_events"] for one in edge["reconciled"]] == [1]
    assert "edge-north; at least 95% of each" in text
    for said in ("Edge twins", "field, gateway", "95.0 %", "Reconciled after an outage", "rain gateway"):
        assert said in html


def test_nothing_is_said_of_edge_twins_where_there_are_none(good):
    assert "Edge twins" not in (good.folder / "report.html").read_text()
    assert "edge twins" not in summary(good)
