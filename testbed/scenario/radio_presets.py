"""Radios that name a preset: its figures are laid under the keys the file gives itself.

The sets are those of `emulator.radio.presets`; the resolved scenario holds every figure, so that a run's
folder says what was used.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from testbed.scenario.messages import Origin, ScenarioError, nearest


def apply(document: dict[str, Any], origin: Origin) -> None:
    """Fill in the radios that have a preset, in place. Raises ScenarioError for an unknown one."""
    radios = document.get("radios")
    if not isinstance(radios, dict):
        return
    for name, table in radios.items():
        # what is of the wrong type is left to the schema, which says so
        if not isinstance(table, dict) or not isinstance(table.get("preset"), str) or not table["preset"]:
            continue
        from emulator.radio.presets import PRESETS, radio_preset

        key = f"radios.{name}.preset"
        if table["preset"] not in PRESETS:
            known = nearest(table["preset"], PRESETS)
            raise ScenarioError(
                f'{origin.of(key)}: {key} is "{table["preset"]}", but must be a named set{known}'
            )
        figures = dataclasses.asdict(radio_preset(table["preset"]))
        del figures["name"]
        for antenna in ("place_antenna", "far_antenna"):
            given = table.get(antenna)
            if isinstance(given, dict):
                table[antenna] = {**figures[antenna], **given}
        radios[name] = {**figures, **table}
