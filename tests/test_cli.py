"""The command line: exit statuses, one sentence for what is wrong, and --json for what is printed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.bench import known
from testbed.scenario import json_schema

DESIGNED = [
    "run", "report", "replay", "validate", "capture", "bench", "exec", "export", "influx", "node", "bridge",
    "dashboards", "doctor", "schema", "scenarios",
]  # fmt: skip


def _testbed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from testbed.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **environment},
    )


def test_every_command_has_a_name_of_the_contract_and_its_place() -> None:
    commands = _testbed("--help").stdout.split("Commands")[1]
    listed = [line.split()[1] for line in commands.splitlines() if line.startswith("│ ")]
    assert [name for name in listed if name in DESIGNED] == DESIGNED


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "laptop", "--set", "run.seeds=1"], '--set: unknown key run.seeds; did you mean "seed"?'),
        (["run", "laptop", "--duration", "1"], "--duration: run.duration_s is 1.0, but must be at least 5"),
        (["run", "/no/such.toml"], "/no/such.toml: no such file"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["run", "laptop", "--seed", "x"], "Invalid value for '--seed'"),
        (["report", "/no/such/run"], "/no/such/run"),
        (["export", "/no/such/run", "--to", "csv"], "/no/such/run: there is no such run folder"),
        (["influx", "sync", "/no/such/run"], "/no/such/run: there is no such run folder"),
        (["influx", "setup", "--url", "here"], "is 'here', but must be an address"),
        (["bench", "nothing"], "bench nothing: no such benchmark"),
        (["bench"], "bench: NAME is missing, give one of those above, or all"),
        (["bench", "../store"], "bench ../store: no such benchmark; there are "),
        (["bench", "orbits", "--plot", "x.png"], "bench orbits: there is no option --plot for it"),
        (["bench", "epoch", "--plot", "/proc/none.png"], "--plot /proc/none.png: cannot be written"),
        (["bench", "epoch", "--plot", "/"], "--plot /: cannot be written (Is a directory)"),
        (["bench", "epoch", "--elements", "/no/such"], "--elements /no/such: cannot be read"),
        (["bench", "all", "--trace", "/no/such"], "--trace /no/such: cannot be read"),
        (["bench", "all", "--elements", __file__], f"--elements {__file__}: line 3: expected line 1"),
        (["bridge", "--connect", "tcp://127.0.0.1:1"], "name at least one port"),
        (["bridge", "a", "b", "--id", "x", "--connect", "tcp://127.0.0.1:1"], "once for each of 2 ports"),
        (["bridge", "a", "--connect", "tcp://127.0.0.1:99999"], "must be an endpoint such as"),
        (["bridge", "a", "b", "--id", "x", "--id", "x", "--connect", "tcp://127.0.0.1:1"], "each once"),
        (["node"], "nodes: the following arguments are required: --id, --role, --connect"),
        (["node", "--id", "a b", "--role", "edge", "--connect", "tcp://127.0.0.1:1"], "--id 'a b' must be"),
        (["node", "--id", "a", "--role", "edge", "--connect", "x", "--bogus"], "unrecognized arguments"),
        (["bridge", "a", "--connect", "tcp://127.0.0.1:1", "--bogus"], "unrecognized arguments"),
        (["run", "laptop", "--json", "/proc/none/x.json"], "--json /proc/none/x.json: cannot be written"),
        (["run", "laptop", "--json", "/"], "--json /: cannot be written (Is a directory)"),
        (["run", "laptop", "--out", "/proc/none"], "--out /proc/none: cannot be written"),
        (["run", "laptop", "--out", __file__], f"--out {__file__}: cannot be written (there is a file"),
        (["schema", "--json", "/proc/none/x.json"], "--json /proc/none/x.json: cannot be written"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], sentence: str) -> None:
    result = _testbed(*arguments)
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_server_is_an_environment_problem() -> None:
    result = _testbed("influx", "setup", "--url", "http://127.0.0.1:9")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["node", "--id", "a", "--role", "sensor", "--connect", "tcp://127.0.0.1:9", "--wait", "0.2"],
        ["bridge", "/dev/none", "--connect", "tcp://127.0.0.1:9", "--wait", "0.2"],
    ],
)
def test_nobody_there_is_an_environment_problem(arguments: list[str]) -> None:
    result = _testbed(*arguments)
    assert result.returncode == 3
    assert "is the testbed running?" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("pydantic", ["schema"]),
        ("numba", ["run", "laptop"]),
        ("sgp4", ["run", "laptop", "--set", f"constellation.elements={__file__}"]),
        ("matplotlib", ["run", "laptop"]),
        ("rich", ["run", "laptop"]),
    ],
)
def test_a_missing_package_is_named_with_what_brings_it(
    tmp_path: Path, package: str, arguments: list[str]
) -> None:
    program = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from testbed.cli import main
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, cwd=tmp_path, timeout=30,
    )  # fmt: skip
    assert result.returncode == 3, result.stderr
    assert package in result.stderr
    assert "pip install" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["node", "bridge"])
def test_a_node_is_handed_to_the_light_module(module: str) -> None:
    arguments = ["--id", "x", "--connect", "nowhere"]
    result = _testbed(
        module, *(["port", *arguments] if module == "bridge" else ["--role", "sensor", *arguments])
    )
    assert result.returncode == 2
    assert "--connect" in result.stderr


def test_json_writes_what_is_printed(tmp_path: Path) -> None:
    printed = _testbed("schema", "--json", str(tmp_path / "new" / "schema.json")).stdout
    assert json.loads(printed) == json.loads((tmp_path / "new" / "schema.json").read_text()) == json_schema()


def test_scenarios_are_listed_with_what_they_are_about(tmp_path: Path) -> None:
    result = _testbed("scenarios", "--json", str(tmp_path / "list.json"))
    assert result.returncode == 0
    content = json.loads((tmp_path / "list.json").read_text())
    assert {"iot-direct", "laptop", "starlink"} <= {entry["name"] for entry in content}
    assert all(entry["about"] in result.stdout for entry in content)


def test_benchmarks_are_listed_with_what_they_are_about() -> None:
    listed = _testbed("bench").stdout
    assert set(known()) <= {line.split()[0] for line in listed.splitlines()}
    assert all(about in listed for about in known().values())


def test_the_doctor_names_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    well = _testbed("doctor", "--json", str(tmp_path / "doctor.json"))
    assert well.returncode == 0, well.stdout
    assert {"Python", "libzmq", "real-time priority", "TUN interfaces"} <= {
        finding["subject"] for finding in json.loads((tmp_path / "doctor.json").read_text())
    }
    ill = _testbed("doctor", NUMBA_DISABLE_JIT="1")
    assert ill.returncode == 3
    assert "-> unset NUMBA_DISABLE_JIT" in ill.stdout


def test_a_port_in_use_is_named_and_leaves_no_folder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        change = f"network.control_endpoint={endpoint}"
        result = _testbed("run", "laptop", "--set", change, "--out", str(tmp_path))
    assert result.returncode == 2
    assert f"network.control_endpoint = '{endpoint}': address already in use" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["channel", "nodes", "ports", "places", "planned_duration_s"])
def test_a_damaged_run_json_costs_its_damaged_part_and_no_more(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"id": "run", "status": "completed", key: "damaged"}))
    result = _testbed("report", str(folder), "--json", str(tmp_path / "report.json"))
    assert (result.returncode, result.stderr) == (1, "")
    problems = json.loads((tmp_path / "report.json").read_text())["problems"]
    assert f"run.json: {key} is damaged and was left out" in problems


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    program = f"{sys.executable} -c 'from testbed.cli import main; main()' schema | head -n 1"
    result = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("{\n", "")
