"""The dashboards as files: what is committed is what the code makes, and it hangs together."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from dashboards.grafana import build, testbed_run
from dashboards.grafana.panels import DATASOURCE_UID, WIDTH
from dashboards.grafana.push import DATASOURCE_NAME, FOLDER_UID


@pytest.fixture
def dashboard() -> dict[str, Any]:
    return testbed_run.dashboard()


def test_the_committed_files_are_what_the_code_builds() -> None:
    for name, made in build.dashboards().items():
        assert (build.FOLDER / name).read_text(encoding="utf-8") == build.text(made), (
            "run `python -m dashboards.grafana.build` and commit what it writes"
        )


def test_no_dashboard_is_left_over() -> None:
    assert {path.name for path in build.FOLDER.glob("*.json")} == set(build.dashboards())


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        for cell in [(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])]:  # fmt: skip
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


def test_every_panel_asks_the_one_data_source(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "influxdb", "uid": DATASOURCE_UID}


def test_every_panel_and_annotation_is_of_one_run_and_the_time_shown(dashboard: dict[str, Any]) -> None:
    texts = [t["query"] for p in dashboard["panels"] for t in p.get("targets", [])]
    texts += [annotation["query"] for annotation in dashboard["annotations"]["list"]]
    assert len(texts) > 20
    for text in texts:
        assert "\"run\" = '$run' AND $timeFilter" in text


def test_the_band_is_between_series_that_exist(dashboard: dict[str, Any]) -> None:
    filled = 0
    for panel in dashboard["panels"]:
        asked = " ".join(t["query"] for t in panel.get("targets", []))
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            assert f'AS "{override["matcher"]["options"]}"' in asked
            for one in override["properties"]:
                if one["id"] == "custom.fillBelowTo":
                    filled += 1
                    assert f'AS "{one["value"]}"' in asked
    assert filled == 2  # delay and signal-to-noise ratio


def test_the_truth_about_the_plant_is_not_shown_at_first(dashboard: dict[str, Any]) -> None:
    shown = {a["target"]["query"].split('FROM "')[1].split('"')[0]: a["enable"]
             for a in dashboard["annotations"]["list"]}  # fmt: skip
    assert shown == {"detection": True, "recovery": True, "handover": False, "plant_event": False}


def test_provisioning_names_what_the_code_names() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    (source,) = yaml.safe_load((build.FOLDER / "provisioning_datasource.yaml").read_text())["datasources"]
    assert (source["uid"], source["name"], source["type"]) == (DATASOURCE_UID, DATASOURCE_NAME, "influxdb")
    (provider,) = yaml.safe_load((build.FOLDER / "provisioning_dashboards.yaml").read_text())["providers"]
    assert provider["folderUid"] == FOLDER_UID
    services = yaml.safe_load((build.FOLDER / "compose.yaml").read_text())["services"]
    mounted = [volume.split(":") for volume in services["grafana"]["volumes"]]
    assert all((build.FOLDER / source).is_file() for source, *_ in mounted)
    assert f"{provider['options']['path']}/{testbed_run.FILE_NAME}" in [inside for _, inside, *_ in mounted]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])


def test_building_needs_neither_grafana_nor_influx_packages() -> None:
    code = (
        "import sys, dashboards.grafana.build, dashboards.grafana.push\n"
        "heavy = {'grafana_api', 'requests', 'influxdb_client', 'numpy', 'nodes', 'emulator'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_files_are_json(dashboard: dict[str, Any]) -> None:
    assert json.loads(build.text(dashboard)) == dashboard
