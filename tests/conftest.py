"""For all tests: with TESTBED_FORBID_SKIPS=1 a skipped test is a failed one, whatever its reason.

A machine that is meant to run everything must not pass because something was quietly left out.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def _without_skip(report: _Report) -> _Report:
    forbidden = os.environ.get("TESTBED_FORBID_SKIPS", "") not in ("", "0")
    if forbidden and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden here (TESTBED_FORBID_SKIPS), and this was one: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    return _without_skip((yield))
