"""Commands on a board: node, bridge. They become the process that does the work."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from testbed.errors import BadInput

#: a node's arguments are its own to read
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def _become(module: str, arguments: Sequence[str]) -> None:
    """Replace this process by `python -m MODULE`: a node keeps nothing of the command line in memory."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def node(context: typer.Context) -> None:
    """Run one node: --id ID --role ROLE --connect ENDPOINT."""
    _become("nodes", context.args)


def bridge(
    context: typer.Context,
    connect: Annotated[str, typer.Option(metavar="ENDPOINT", help="The supervisor, tcp://HOST:PORT.")],
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Node id of the device, one for each port; default mcu-N."),
    ] = None,
) -> None:
    """Join serial devices: testbed bridge PORT|URL ... --connect ENDPOINT.

    Ports come first. Further options: python -m firmware_bridge bridge --help.
    """
    ports = list(itertools.takewhile(lambda word: not word.startswith("-"), context.args))
    options = context.args[len(ports) :]
    if not ports:
        raise BadInput(
            "bridge: name at least one port, before further options, such as /dev/ttyACM0 or socket://HOST:PORT"
        )
    port = re.fullmatch(r"tcp://\S+:(\d{1,5})|(?:ipc|inproc)://\S+", connect)
    if port is None or not 0 < int(port[1] or 1) < 65_536:
        raise BadInput(f"--connect {connect!r} must be an endpoint such as tcp://127.0.0.1:5555")
    names = ids or [f"mcu-{number}" for number in range(1, len(ports) + 1)]
    if len(names) != len(ports):
        raise BadInput(
            f"--id: given {len(names)} times, but must be given once for each of {len(ports)} ports"
        )
    for each in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", each) or names.count(each) > 1:
            raise BadInput(
                f"--id {each!r}: must be letters, digits, '-' and '_', beginning with a letter, each once"
            )
    commands = [
        ["bridge", "--id", name, "--port", port, "--connect", connect, *options]
        for name, port in zip(names, ports, strict=True)
    ]
    if len(commands) == 1:
        _become("firmware_bridge", commands[0])
    started = [
        subprocess.Popen([sys.executable, "-m", "firmware_bridge", *each, "--with-parent"])
        for each in commands
    ]
    raise typer.Exit(max(process.wait() for process in started))
