"""The command exec: any program behind a node's IP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.errors import BadInput


def exec_(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Id of a node of the run.")],
    program: Annotated[
        list[str] | None, typer.Argument(metavar="-- PROGRAM...", help="What to run, with its arguments.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder; default: the run that began last."),
    ] = None,
) -> None:
    """Run a program whose only network is a node's: testbed exec NODE -- ping -c 3 OTHER-NODE.

    Ends with the program's exit status; 128 + N when signal N ended it.
    """
    if not program:
        raise BadInput("exec: PROGRAM is missing; give it after --, such as: testbed exec NODE -- ping OTHER")
    from testbed.ip.execute import execute

    raise typer.Exit(execute(node, program, run))
