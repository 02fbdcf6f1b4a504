"""Writes the dashboards as JSON files for Grafana's provisioning: `python -m dashboards.grafana.build`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.grafana import testbed_run

FOLDER = Path(__file__).parent


def dashboards() -> dict[str, dict[str, Any]]:
    """File name -> dashboard, of all there are."""
    return {testbed_run.FILE_NAME: testbed_run.dashboard()}


def text(dashboard: dict[str, Any]) -> str:
    """A dashboard as the text of its file."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def build(folder: Path = FOLDER) -> list[Path]:
    """Write every dashboard into `folder`; the files written."""
    paths = []
    for name, dashboard in dashboards().items():
        path = folder / name
        path.write_text(text(dashboard), encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in build():
        print(written)
