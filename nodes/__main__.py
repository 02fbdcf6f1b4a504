"""`python -m nodes --id ID --role ROLE --connect ENDPOINT`: one node in its own process.

Exit status 0 after an orderly end, 2 when an argument or the configuration is wrong, 3 when nobody
answers or the supervisor falls silent. argparse, because a board has to start quickly.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence; the usage is for --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"nodes: {message}; see {self.prog} --help\n")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser("python -m nodes", description="Run one node of a testbed.")
    parser.add_argument("--id", required=True, help="id of the node, as in the scenario")
    parser.add_argument("--role", required=True, help="what it is: sensor, edge, gateway, ...")
    parser.add_argument(
        "--connect", required=True, metavar="ENDPOINT", help="the supervisor, tcp://HOST:PORT"
    )
    parser.add_argument("--place", default="", help="place of a guest, which the scenario does not name")
    parser.add_argument(
        "--wait", type=float, default=15.0, metavar="SECONDS", help="for an answer (default 15)"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started it ends"
    )
    return parser.parse_args(arguments)


def _fail(status: int, text: object) -> int:
    print(f"nodes: {text}", file=sys.stderr)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; the exit status."""
    options = _arguments(arguments)
    # After the arguments: --help and mistakes need no ZeroMQ.
    from nodes import agent, roles
    from nodes.node import ConfigError
    from nodes.processes import die_with_parent

    endpoint = re.fullmatch(r"tcp://\S+:(\d{1,5})|ipc://\S+", options.connect)
    if endpoint is None or not 0 < int(endpoint[1] or 1) < 65_536:
        return _fail(2, f"--connect {options.connect!r} must be an endpoint such as tcp://127.0.0.1:5555")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", options.id):
        return _fail(2, f"--id {options.id!r} must be letters, digits, '-' and '_', beginning with a letter")
    if not 0 < options.wait < 1e6:
        return _fail(2, f"--wait {options.wait} must be a positive number of seconds")
    if options.with_parent:
        die_with_parent()
    try:
        node = agent.Agent(options.id, options.role, options.connect, None, options.place, options.wait)
        node.end_on_signals()
        node.run()
    except (ConfigError, roles.UnknownRoleError, agent.RefusedError) as error:
        return _fail(agent.BAD_INPUT, error)
    except agent.NetworkError as error:
        return _fail(agent.ENVIRONMENT, error)
    return agent.DONE


if __name__ == "__main__":
    sys.exit(main())
