"""A run folder becomes report.json, report.html and a summary, whole or broken off."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from testbed import report
from testbed.errors import BadInput


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
