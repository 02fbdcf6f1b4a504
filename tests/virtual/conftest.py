"""A small network in virtual time: three terminals, a gateway, two servers, four satellites."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from testbed.bench._campaign_runs import Case, scenario_of
from testbed.scenario import Scenario
from testbed.scenario.document import Document

Make = Callable[..., Scenario]


def small(*deviations: dict[str, Any], duration_s: float = 12.0, seed: int = 5, **tables: Any) -> Scenario:
    """The campaign's network without its own deviation; `tables` replace keys of the file, table by table."""
    bare = scenario_of(Case(0, "", "", math.nan, math.inf, duration_s, seed)).resolved()
    bare["deviations"] = [{"at": 0.5, "for": 1.0, **deviation} for deviation in deviations]
    for name, changes in tables.items():
        bare[name] = {**bare[name], **changes}
    return Scenario(Document.model_validate(bare), "small")


@pytest.fixture(scope="session")
def make() -> Make:
    return small
