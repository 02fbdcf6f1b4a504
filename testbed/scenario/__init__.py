"""Scenario files: what they may say, how they are loaded, and who is given which part of them.

`load(name_or_path)` gives a `Scenario`; `ScenarioError` is one sentence about what is wrong with a
file. Importing this package brings pydantic: nodes never do.
"""

from __future__ import annotations

from testbed.scenario.document import json_schema
from testbed.scenario.loading import load, shipped
from testbed.scenario.messages import ScenarioError
from testbed.scenario.scenario import Scenario

__all__ = ["Scenario", "ScenarioError", "json_schema", "load", "shipped"]
