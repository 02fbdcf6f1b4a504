"""Command line of the twin's process: `python -m testbed.twin --connect ENDPOINT --public FILE`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from testbed.errors import TestbedError


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line and runs the twin; exit 2 on bad input, 3 when nobody answers."""
    parser = argparse.ArgumentParser(prog="testbed.twin", description="The twin of a running testbed.")
    parser.add_argument(
        "--connect", required=True, metavar="ENDPOINT", help="control endpoint, tcp://HOST:PORT"
    )
    parser.add_argument("--public", required=True, type=Path, metavar="FILE", help="public knowledge, JSON")
    parser.add_argument("--id", default="twin", help="node id (twin)")
    parser.add_argument("--centre", metavar="ENDPOINT", help="be the edge named by --id, under this centre")
    parser.add_argument("--over", metavar="ENDPOINT", help="be the centre of edges, which speak there")
    parser.add_argument("--edges", type=int, metavar="N", help="number of edges (one a gateway)")
    parser.add_argument("--clock", choices=("host", "told"), default="host", help="told: by the supervisor")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from testbed.twin.controller import ToldClock, run_twin
    from testbed.twin.edge import EdgeOptions

    edge = EdgeOptions(options.centre, options.edges) if options.centre else None
    clock = ToldClock() if options.clock == "told" else None
    try:
        return run_twin(
            options.connect,
            options.public,
            options.id,
            edge=edge,
            clock=clock,
            over=options.over,
            edges=options.edges,
        )
    except TestbedError as error:
        print(f"testbed.twin: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    raise SystemExit(main())
