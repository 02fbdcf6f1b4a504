"""The tables [models.NAME]: what they may say, what the channel is built from then, and what stays secret."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from emulator.links.model import (
    CoDel,
    DutyCycle,
    Exponential,
    Faults,
    Frames,
    Gamma,
    GilbertElliott,
    LinkModel,
    LogNormal,
    ModelSet,
    Normal,
    Pareto,
    PureAloha,
    SlottedAloha,
    Traces,
    Uniform,
)
from emulator.spec import WorldSpec
from testbed.scenario import Scenario, ScenarioError, link_models, link_traces, load
from testbed.scenario.link_models import ModelTable

MS = 1_000_000
RTT = "seq,unix_ns,rtt_ms\n1,1734544800095465984,40\n2,1734544800595465984,50\n"


def scenario(model: str, *more: str) -> Scenario:
    """The laptop scenario with one link model, of its only link without a radio."""
    return load("laptop", [f"models.mine={{{model}}}", "links.0.model=mine", *more])


def model(text: str) -> LinkModel:
    (found,) = scenario(text).world_spec().models
    return found


@pytest.fixture
def rtt(tmp_path: Path) -> Path:
    path = tmp_path / "rtt.csv"
    path.write_text(RTT)
    return path


# --- settings ------------------------------------------------------------------------------------


def test_an_empty_table_is_the_plain_model() -> None:
    assert model("").traces == Traces()
    assert model("") == LinkModel("mine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("queue={kind='drop-tail'}", {}),
        ("queue={kind='codel'}", {"queue": CoDel(5.0, 100.0)}),
        ("queue={kind='codel', target_ms=7, interval_ms=200}", {"queue": CoDel(7.0, 200.0)}),
        ("access={kind='none'}", {}),
        ("access={kind='frames', period_ms=2}", {"access": Frames(2.0)}),
        (
            "access={kind='frames', period_ms=2, grant_ms=10, frame_kbytes=4, offset_ms=1}",
            {"access": Frames(2.0, 10.0, 4.0, 1.0)},
        ),
        (
            "access={kind='slotted-aloha', slot_ms=100, window_slots=4, attempts=3, offset_ms=5}",
            {"access": SlottedAloha(100.0, 4, 3, 5.0)},
        ),
        ("access={kind='pure-aloha', window_ms=500, attempts=2}", {"access": PureAloha(500.0, 2)}),
        ("access={kind='duty-cycle', share=0.01}", {"access": DutyCycle(0.01)}),
        ("loss={kind='independent'}", {}),
        ("loss={kind='gilbert-elliott', enter=0.01, leave=0.3}", {"loss": GilbertElliott(0.01, 0.3, 1.0)}),
        ("loss={kind='gilbert-elliott', enter=0, leave=1, loss=0}", {"loss": GilbertElliott(0.0, 1.0, 0.0)}),
        ("jitter={kind='exponential', correlation_ms=3}", {"jitter": Exponential(3.0)}),
        ("jitter={kind='uniform'}", {"jitter": Uniform()}),
        ("jitter={kind='normal', spread=0.5}", {"jitter": Normal(spread=0.5)}),
        ("jitter={kind='gamma', shape=2, correlation_ms=3}", {"jitter": Gamma(correlation_ms=3, shape=2)}),
        ("jitter={kind='lognormal', sigma=0.5}", {"jitter": LogNormal(sigma=0.5)}),
        ("jitter={kind='pareto', shape=3}", {"jitter": Pareto(shape=3.0)}),
        ("duplicate=0.1", {"faults": Faults(duplicate=0.1)}),
        ("corrupt=0.2", {"faults": Faults(corrupt=0.2)}),
        ("keep_order=false", {"keep_order": False}),
        ("on_lost_link='reroute'", {"reroute": True}),
        ("on_lost_link='drop'", {}),
        ("overhead_bytes=13, overhead_ms=1.5", {"overhead_bytes": 13, "overhead_ms": 1.5}),
        ("mtu_bytes=222", {"mtu_bytes": 222}),
    ],
)  # fmt: skip
def test_what_a_table_says_the_channel_is_built_from(text: str, expected: dict[str, Any]) -> None:
    assert model(text) == LinkModel("mine", **expected)


def _settings() -> list[type[Any]]:
    unions = (link_models.Queue, link_models.Access, link_models.Loss, link_models.Jitter)
    return [table for union in unions for table in get_args(get_args(union)[0])]


@pytest.mark.parametrize("table", _settings())
def test_whatever_a_table_may_say_a_network_takes(table: type[Any]) -> None:
    """Bounds of the file are not wider than those of the channel."""
    (field,) = (
        name for name in ("queue", "access", "loss", "jitter")
        if table in get_args(ModelTable.model_fields[name].annotation)
    )  # fmt: skip
    (kind,) = get_args(table.model_fields["kind"].annotation)
    figures = {
        k: v for k, v in table.model_json_schema()["properties"].items() if "type" in v and k != "kind"
    }
    for bound in ("minimum", "maximum"):
        values = {key: figure.get(bound, figure["maximum"]) for key, figure in figures.items()}
        settings = {"kind": kind, **values}
        parsed = load("laptop", []).document.model_copy(
            update={"models": {"mine": ModelTable.model_validate({field: settings})}}
        )
        ModelSet(Scenario(parsed, "test").world_spec().models)


def test_models_are_named_where_links_come_from() -> None:
    spec = load("laptop", [
        "models.up={}", "models.down={}", "models.wire={}", "models.laser={}",
        "radios.ka-feeder.up_model=up", "radios.ka-feeder.down_model=down",
        "links.0.model=wire", "constellation.isl_model=laser",
    ]).world_spec()  # fmt: skip
    (radio,) = [radio for radio in spec.radios if radio.name == "ka-feeder"]
    assert (radio.up_model, radio.down_model) == ("up", "down")
    assert (spec.links[0].model, spec.constellation.isl_model) == ("wire", "laser")
    assert [m.name for m in spec.models] == ["up", "down", "wire", "laser"]


def test_a_radio_from_a_preset_may_have_models() -> None:
    sets = ["models.up={}", "radios.ka-feeder={preset='tr38821-set1-leo600-ka-vsat', up_model='up'}"]
    (radio,) = [radio for radio in load("laptop", sets).world_spec().radios if radio.name == "ka-feeder"]
    assert (radio.up_model, radio.down_model) == ("up", "")


def test_without_a_word_there_are_no_models() -> None:
    spec = load("laptop").world_spec()
    assert spec.models == ()
    assert {radio.up_model for radio in spec.radios} == {""}


MISTAKES = [
    ("models.mine.queue.kind=red", "models.mine.queue.kind is \"red\", allowed are 'drop-tail', 'codel'"),
    ("models.mine.queue={target_ms=5}", "models.mine.queue.kind is missing, allowed are 'drop-tail', 'codel"),
    ("models.mine.jitter={}", "models.mine.jitter.kind is missing, allowed are 'exponential', 'uniform', 'n"),
    ("models.mine.queue=codel", 'models.mine.queue is "codel", but must be a table'),
    ("models.mine.queue={kind='codel', target=5}", 'unknown key models.mine.queue.target; did you mean "tar'),
    ("models.mine.queue={kind='codel', target_ms=0}", "models.mine.queue.target_ms is 0, but must be at lea"),
    ("models.mine.queue={kind='drop-tail', target_ms=5}", "unknown key models.mine.queue.target_ms"),
    ("models.mine.access={kind='frames'}", "models.mine.access.period_ms is missing (time between the start"),
    ("models.mine.access={kind='frames', period_ms=1, frame_kbytes=1e-5}", "must be 0 (any) or at least 0.0"),
    ("models.mine.access={kind='duty-cycle', share=2}", "models.mine.access.share is 2, but must be at most"),
    ("models.mine.access={kind='pure-aloha', window_ms=1, attempts=1.5}", "attempts is 1.5, but must be a w"),
    ("models.mine.loss={kind='gilbert-elliott', enter=0.1}", "models.mine.loss.leave is missing (probabilit"),
    ("models.mine.loss={kind='gilbert-elliott', enter=0.1, leave=0}", "loss.leave is 0, but must be more th"),
    ("models.mine.jitter={kind='normal', spread=3}", "models.mine.jitter.spread is 3, but must be at most 0"),
    ("models.mine.duplicate=1.5", "models.mine.duplicate is 1.5, but must be at most 1"),
    ("models.mine.on_lost_link=wait", "on_lost_link is \"wait\", but must be one of 'drop' or 'reroute'"),
    ("models.mine.mtu_bytes=50", "models.mine.mtu_bytes is 50, but must be 0 (any) or at least 68"),
    ("models.mine.latency=5", "unknown key models.mine.latency"),
    ("models.mine=5", "models.mine is 5, but must be a table"),
    ("models=5", "models is 5, but must be a table"),
    ("models.my wire={}", "models.my wire is not a name"),
    ("models.plain={}", 'models.plain is "plain", but must be another name'),
    ("radios.ka-feeder.up_model=mein", 'radios.ka-feeder.up_model is "mein", but must be a model; did you m'),
    ("radios.ka-feeder.down_model=x", 'ka-feeder.down_model is "x", but must be a model; known are mine'),
    ("links.0.model=x", 'links.0.model is "x", but must be a model; known are mine'),
    ("links.1.model=mine", "links.1.model is \"mine\", but must be absent with a radio, whose up_model and"),
    ("constellation.isl_model=x", 'constellation.isl_model is "x", but must be a model; known are mine'),
    ("network.ip_mtu=1000", "network.ip_mtu is 1000, but must be at least 1280"),
    ("network.ip_mtu=9001", "network.ip_mtu is 9001, but must be at most 9000"),
    ("network.compensate=1", "network.compensate is 1, but must be true or false"),
    ("nodes.sensor.traffic_class=4", "nodes.sensor.traffic_class is 4, but must be at most 3"),
    ("nodes.relay-1.traffic_class=1", "unknown key nodes.relay-1.traffic_class"),
    # recordings
    ("models.mine.delay_trace=rtt.csv", 'models.mine.delay_trace is "rtt.csv", but must be a table'),
    ("models.mine.delay_trace={}", 'models.mine.delay_trace.file is "", but must be the path of a recording'),
    ("models.mine.delay_trace={file='/no/such.csv'}", "models.mine.delay_trace: /no/such.csv: cannot be rea"),
    ("models.mine.mahimahi={file='/no/such.down'}", "models.mine.mahimahi: /no/such.down: cannot be read (N"),
    ("models.mine.delay_trace={file='x', unit='mbps'}", "delay_trace.unit is \"mbps\", but must be one of '"),
    ("models.mine.delay_trace={file='x', factor=0}", "delay_trace.factor is 0, but must be more than 0"),
    ("models.mine.delay_trace={content='soup'}", "content is given, but must be such that it can be read; n"),
    ("models.mine.rate_trace={interpolation='cubic', file='x'}", "must be one of 'steps' or 'linear'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_is_one_sentence(change: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("laptop", ["models.mine={}", change])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# --- recordings ----------------------------------------------------------------------------------


def test_recordings_reach_the_channel(tmp_path: Path, rtt: Path) -> None:
    for name, text in (
        ("rate.csv", "t_s,rate_mbps\n0,5\n1,7\n"),
        ("loss.csv", "t_s,loss_percent\n0,5\n"),
        ("lte.down", "3\n4\n"),
    ):
        (tmp_path / name).write_text(text)
    one = model(
        f"delay_trace={{file='{rtt}', factor=0.5, interpolation='linear', repeat=true}}, "
        f"rate_trace={{file='{tmp_path}/rate.csv'}}, loss_trace={{file='{tmp_path}/loss.csv'}}"
    )
    delay, rate, loss = one.traces.delay, one.traces.rate, one.traces.loss
    assert delay is not None
    assert (delay.times_ns.tolist(), delay.values.tolist()) == ([0, 500 * MS], [20e6, 25e6])
    assert (delay.kind, delay.period_ns) == ("linear", 1000 * MS)
    assert rate is not None
    assert (rate.times_ns.tolist(), rate.values.tolist()) == ([0, 1000 * MS], [5e6, 7e6])
    assert loss is not None
    assert loss.values.tolist() == [0.05]
    other = model(f"mahimahi={{file='{tmp_path}/lte.down', opportunity_bytes=99}}").traces.deliveries
    assert other is not None
    assert (other.times_ns.tolist(), other.values.tolist()) == ([3 * MS, 4 * MS], [99.0, 99.0])
    ModelSet((one,))


def test_every_key_of_a_recording_counts(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("when,wait\n0,9\n1000,-1\n2000,8\n")
    keys = "time='when', time_unit='ms', value='wait', unit='us', missing=-1, start_s=1.0"
    found = model(f"delay_trace={{file='{path}', {keys}}}").traces.delay
    assert found is not None
    assert (found.times_ns.tolist(), found.values.tolist()) == ([0, 1000 * MS], [9e3, 8e3])


@pytest.mark.parametrize("packed", [False, True])
def test_a_run_folder_needs_no_other_file(tmp_path: Path, packed: bool) -> None:
    recording, trace = tmp_path / "rtt.csv", tmp_path / "lte.down"
    recording.write_bytes(gzip.compress(RTT.encode()) if packed else RTT.encode())
    trace.write_bytes(gzip.compress(b"3\n4\n") if packed else b"3\n4\n")
    one = scenario(
        f"delay_trace={{file='{recording}', factor=0.5, repeat=true}}, mahimahi={{file='{trace}'}}, "
        "queue={kind='codel'}"
    )
    (tmp_path / "scenario.json").write_text(json.dumps(one.resolved()))
    recording.unlink()
    trace.unlink()
    again = load(tmp_path)
    assert again.document == one.document
    assert again.world_spec() == one.world_spec()
    assert "rtt.csv" not in json.dumps(one.resolved())


def test_nothing_is_kept_of_a_recording_but_what_is_used(rtt: Path) -> None:
    trace = scenario(f"delay_trace={{file='{rtt}'}}").document.models["mine"].delay_trace
    assert trace is not None
    assert (trace.file, link_traces.unpack(trace.content)) == (
        "",
        RTT.replace("seq,", "").replace("\n1,", "\n").replace("\n2,", "\n"),
    )


def test_a_recording_lies_beside_the_scenario_file(rtt: Path, tmp_path: Path) -> None:
    document = scenario("").resolved()
    document["models"]["mine"]["delay_trace"] = {"file": "rtt.csv"}
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(document))
    (found,) = load(mine).world_spec().models
    assert found.traces.delay is not None


@pytest.mark.parametrize(
    "change",
    ["models.mine.delay_trace.file=rtt.csv", "models.mine.delay_trace={file='rtt.csv'}",
     "models={mine={delay_trace={file='rtt.csv'}}}"],
)  # fmt: skip
def test_on_the_command_line_a_recording_lies_where_the_command_runs(
    rtt: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.chdir(rtt.parent)
    assert load("laptop", [change]).document.models["mine"].delay_trace is not None


def test_a_mistake_in_a_recording_names_file_and_line(rtt: Path) -> None:
    rtt.write_text(RTT.replace(",50", ",fast"))
    expected = r'^--set: models\.mine\.delay_trace: .*rtt\.csv, line 3: rtt_ms is "fast", but must be'
    with pytest.raises(ScenarioError, match=expected):
        scenario(f"delay_trace={{file='{rtt}'}}")


def test_a_mistake_in_a_packet_delivery_trace_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "lte.down"
    path.write_text("3\n2\n")
    with pytest.raises(
        ScenarioError, match=r"models\.mine\.mahimahi: .*lte\.down, line 2: is 2, but must not"
    ):
        scenario(f"mahimahi={{file='{path}'}}")


def test_a_run_that_begins_after_the_recording_is_refused(rtt: Path) -> None:
    with pytest.raises(ScenarioError, match=r"start_s is 9, but must be from 0 to 0\.5, its end"):
        scenario(f"delay_trace={{file='{rtt}', start_s=9}}")


def test_a_rate_is_recorded_in_one_way_only(tmp_path: Path) -> None:
    (tmp_path / "rate.csv").write_text("t_s,rate_mbps\n0,5\n")
    (tmp_path / "lte.down").write_text("3\n")
    with pytest.raises(
        ScenarioError, match=r"models\.mine\.rate_trace is given, but must be absent beside mah"
    ):
        scenario(f"rate_trace={{file='{tmp_path}/rate.csv'}}, mahimahi={{file='{tmp_path}/lte.down'}}")


@pytest.mark.parametrize("content", ["soup!", "AAAA", "eJw=", link_traces.pack("x")[:-8]])
def test_damaged_content_is_refused(content: str) -> None:
    with pytest.raises(
        ScenarioError, match=r"delay_trace\.content is given, but must be such that it can be re"
    ):
        scenario(f"delay_trace={{content='{content}'}}")


def test_content_that_would_unpack_to_more_than_a_recording_may_be_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("emulator.links.series.TEXT_BYTES_MAX", 100)
    content = link_traces.pack("t_s,rtt_ms\n" + "0,1\n" * 100)
    with pytest.raises(ScenarioError, match="ends too early or is too long"):
        scenario(f"delay_trace={{content='{content}'}}")


# --- what the twin is given ----------------------------------------------------------------------

SECRETS = [
    "loss={kind='gilbert-elliott', enter=0.01, leave=0.3}",
    "jitter={kind='pareto', shape=3, correlation_ms=100}",
    "duplicate=0.1",
    "corrupt=0.1",
    "keep_order=false",
    "delay_trace={file='rtt.csv'}",
    "rate_trace={file='rtt.csv', value='rtt_ms', unit='mbps'}",
    "loss_trace={file='rtt.csv', value='rtt_ms', unit='percent'}",
    "mahimahi={file='lte.down'}",
]
PUBLIC = [
    "queue={kind='codel'}",
    "access={kind='frames', period_ms=2}",
    "access={kind='slotted-aloha', slot_ms=100}",
    "on_lost_link='reroute'",
    "overhead_bytes=13",
    "overhead_ms=1.5",
    "mtu_bytes=222",
]


@pytest.fixture
def beside(rtt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (rtt.parent / "lte.down").write_text("3\n")
    monkeypatch.chdir(rtt.parent)


def told(found: Scenario) -> bytes:
    return json.dumps(found.public(), sort_keys=False).encode()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.usefixtures("beside")
def test_the_twin_is_given_the_same_bytes_whatever_a_model_hides(secret: str) -> None:
    known = "queue={kind='codel'}, overhead_bytes=13"
    assert told(scenario(f"{known}, {secret}")) == told(scenario(known))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.usefixtures("beside")
def test_of_a_model_that_is_all_hidden_the_twin_is_not_even_given_the_name(secret: str) -> None:
    names = [f"radios.ka-feeder.{key}=mine" for key in ("up_model", "down_model")]
    found = scenario(secret, *names, "constellation.isl_model=mine")
    assert told(found) == told(load("laptop"))
    assert found.world_spec().links[0].model == "mine"


@pytest.mark.parametrize("known", PUBLIC)
def test_the_twin_is_given_what_an_operator_knows_of_a_model(known: str) -> None:
    found = scenario(f"{known}, duplicate=0.5, jitter={{kind='uniform'}}", "radios.ka-feeder.up_model=mine")
    world = msgspec.convert(json.loads(told(found))["world"], WorldSpec)
    assert world.models == scenario(known).world_spec().models
    assert world.links[0].model == "mine"
    assert {radio.name: radio.up_model for radio in world.radios}["ka-feeder"] == "mine"


def test_nodes_are_given_their_traffic_class() -> None:
    found = load("laptop", ["nodes.sensor.traffic_class=2"])
    assert found.node_config("sensor-3")["traffic_class"] == 2
    assert found.node_config("remote-1")["traffic_class"] == 0


def test_the_network_s_own_settings() -> None:
    plain = load("laptop").network
    assert (plain.compensate, plain.ip, plain.ip_mtu) == (False, True, 1500)
    other = load("laptop", ["network.compensate=true", "network.ip=false", "network.ip_mtu=9000"]).network
    assert (other.compensate, other.ip, other.ip_mtu) == (True, False, 9000)
