"""The supervisor: starts the processes of a run, carries orders and telemetry, ends and accounts for all.

`run_scenario` is a whole run, from a scenario to a printed report.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.scenario import Scenario


def run_scenario(scenario: Scenario, out: Path, json_file: Path | None = None, live: bool = False) -> int:
    """Run a scenario in a new folder under `out` and print its report; the exit status.

    BadInput and EnvironmentProblem come as exceptions; whatever happens once processes run is an event of
    the run and stands in its report. `live` prints every event as it happens.
    """
    from testbed.report import print_summary, render
    from testbed.store.runfile import RunFolder
    from testbed.supervisor.kernels import compile_if_cold
    from testbed.supervisor.monitor import Monitor
    from testbed.supervisor.run import Run

    monitor = Monitor(verbose=live)
    compile_if_cold(monitor, scenario.twin.enabled)
    folder = RunFolder.create(out, scenario.name)
    with monitor:
        try:
            run = Run(scenario, folder, monitor)
        except BaseException:
            # Nothing has been run (a port in use, say): no folder that is not one of a run.
            for empty in (folder.logs_path, folder.path):
                with contextlib.suppress(OSError):
                    empty.rmdir()
            raise
        run.execute()
    try:
        with monitor.step("drawing the report"):
            report = render(folder.path, json_file)
    except KeyboardInterrupt:
        monitor.say(f"the run is kept; its report is drawn with: testbed report {folder.path}")
        raise
    print_summary(report, monitor.console)
    return report.exit_status
