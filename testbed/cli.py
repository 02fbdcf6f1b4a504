"""The command line `testbed`: its commands put together, and mistakes turned into sentence and exit status.

The commands are in `testbed.commands`; what does their work is imported inside each, so that `testbed node`
on a board stays light. Exit status: 0 all verdicts hold, 1 one failed, 2 bad input, 3 the environment cannot
do it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core

from testbed.commands import boards, capture, databases, exec, machine, runs, whatif
from testbed.errors import TestbedError

#: what a mistake in the arguments raises, whichever copy of click typer brings
_UsageError: Any = typer.BadParameter.__bases__[0]

#: our packages: one of theirs that is missing is not a matter of what is installed
_OURS = ("testbed", "emulator", "nodes", "firmware_bridge", "dashboards")

#: the order of the help: from a run to what it needs
_ORDER = (
    "run", "report", "replay", "whatif", "validate", "capture", "bench", "exec", "export", "influx", "node",
    "bridge", "dashboards", "doctor", "schema", "scenarios",
)  # fmt: skip


class _InOrder(typer.core.TyperGroup):
    """Lists commands and groups of commands in `_ORDER`; others after them, as they are defined."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(
            super().list_commands(ctx), key=lambda n: _ORDER.index(n) if n in _ORDER else len(_ORDER)
        )


app = typer.Typer(
    cls=_InOrder,
    help="Emulation testbed for digital twins of integrated satellite-terrestrial networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(databases.dashboards, name="dashboards")
app.add_typer(databases.influx, name="influx")
for _command in (
    runs.run, runs.report, runs.replay, runs.validate, runs.export, capture.capture, whatif.whatif,
    machine.bench, machine.scenarios, machine.schema, machine.doctor,
):  # fmt: skip
    app.command()(_command)
app.command("exec")(exec.exec_)
app.command(context_settings=boards.PASS_ON)(boards.node)
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(boards.bridge)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; ends the process with the exit status."""
    command = typer.main.get_command(app)
    try:
        status = command(None if arguments is None else list(arguments), "testbed", standalone_mode=False)
    except TestbedError as error:
        status = _complain(error, error.exit_status)
    except _UsageError as error:
        status = _complain(error.format_message() or "no command given", 2)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _OURS:
            raise
        status = _complain(
            f"{error.name} is not installed, and this command needs the full set: "
            "pip install 'istn-testbed[lab]'",
            3,
        )
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:  # typer makes of Ctrl-C an exit of its own
        _complain("interrupted", status)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(text: object, status: int) -> int:
    print(f"testbed: {text}", file=sys.stderr)
    return status
