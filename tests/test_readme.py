"""What the README shows runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def _run(mark: str) -> list[str]:
    """What the example that has `mark` in it prints, in a process of its own."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    example = next(block for block in blocks if mark in block)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_example_of_satellites_runs() -> None:
    lines = _run("Constellation.walker")
    assert re.match(r"sat-\d+-\d+ \d+\.\d deg, [+-]\d+ kHz at 20 GHz", lines[0])
    assert any("SNR, dB" in line for line in lines)


def test_the_example_of_a_world_prints_a_way_over_satellites() -> None:
    way, figures = _run("World(")
    assert re.fullmatch(r"munich( sat-\d+-\d+)+ new-york", way)
    assert re.fullmatch(r"\d+\.\d ms, [1-9]\d* Mbit/s", figures)


def test_the_example_of_virtual_time_goes_on_where_the_one_before_ends() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    world, ahead = (next(b for b in blocks if mark in b) for mark in ("World(", "network_of(world"))
    done = subprocess.run([sys.executable, "-c", world + ahead], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"1[12]\d{3} pings: \d+\.\d ms, loss 0\.0%", done.stdout.splitlines()[-1])


def test_the_policy_shown_proposes_what_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from testbed.actions import Pace
    from testbed.scenario import load
    from testbed.twin.attribution import Event
    from testbed.twin.belief import Belief
    from testbed.twin.policies import View, build
    from testbed.twin.public import of_scenario

    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_policies.py").write_text(next(block for block in blocks if "class Thrift" in block))
    monkeypatch.syspath_prepend(tmp_path)
    (policy,) = build(["my_policies:Thrift"])
    slow = Event("slow_server", "edge-sat", "on-board", 30.0, 32.0, 0.5, 0.01, "factor", 9.0, 8.0)
    view = View(33.0, of_scenario(load("laptop")), Belief(33.0), (slow,))
    (proposed,) = policy.propose(view)
    assert proposed.actions == (Pace("sensor", reading_interval_s=0.4),)
    assert policy.propose(View(33.0, view.public, Belief(33.0))) == []


def test_the_models_shown_are_ones_a_scenario_can_have(tmp_path: Path) -> None:
    from testbed.scenario import load, shipped

    (tables,) = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    laptop = next(path for name, _, path in shipped() if name == "laptop").read_text(encoding="utf-8")
    (tmp_path / "ping.csv").write_text("t_s,rtt_ms\n0,40\n1,50\n")
    written = laptop + "\n" + tables
    (tmp_path / "with-models.toml").write_text(written)
    models = {model.name for model in load(tmp_path / "with-models.toml").world_spec().models}
    assert models == {"terminal-up", "recorded"}


def test_every_command_and_picture_exists() -> None:
    from testbed.cli import app

    text = README.read_text(encoding="utf-8")
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    named = set(re.findall(r"(?m)^(?:\$ )?testbed ([a-z]+)", text))
    assert named <= known
    assert named
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (README.parent / picture).is_file(), picture
