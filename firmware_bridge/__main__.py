"""`python -m firmware_bridge`: a serial device as a node of a run, or the firmware model as such a device.

    python -m firmware_bridge bridge --id mcu-1 --port /dev/ttyACM0 --connect tcp://127.0.0.1:5555
    python -m firmware_bridge model --link /tmp/mcu-1

Exit status 0 after an orderly end, 2 when an argument or the configuration is wrong, 3 when nobody
answers or the supervisor falls silent. A device that is absent is no error: the bridge waits for it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence; the usage is for --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"firmware_bridge: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit status."""
    options = _parser().parse_args(arguments)
    if options.with_parent:
        from nodes.processes import die_with_parent

        die_with_parent()
    return _bridge(options) if options.what == "bridge" else _model(options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("python -m firmware_bridge", description=(__doc__ or "").split("\n")[0])
    kinds = parser.add_subparsers(dest="what", required=True)

    bridge = kinds.add_parser("bridge", help="join a run on behalf of a device")
    bridge.add_argument("--id", required=True, help="id of the node, as in the scenario")
    bridge.add_argument("--port", required=True, metavar="URL", help="/dev/..., a pty, or socket://HOST:PORT")
    bridge.add_argument(
        "--connect", required=True, metavar="ENDPOINT", help="the supervisor, tcp://HOST:PORT"
    )
    bridge.add_argument("--baud", type=int, default=115_200, help="of the serial port (default 115200)")
    bridge.add_argument("--pace", action="store_true", help="send no faster than --baud (emulated lines)")
    bridge.add_argument("--dtr", action="store_true", help="raise DTR when opening (resets many boards)")
    bridge.add_argument("--rts", action="store_true", help="raise RTS when opening")
    bridge.add_argument(
        "--wait", type=float, default=15.0, metavar="SECONDS", help="for the supervisor (default 15)"
    )

    model = kinds.add_parser("model", help="an emulated microcontroller behind a pty; prints its path")
    model.add_argument("--link", type=Path, metavar="PATH", help="make a symbolic link to the pty here")
    model.add_argument("--interval-s", type=float, default=1.0, help="between readings, 0: none (default 1)")
    model.add_argument("--reading-bytes", type=int, default=16, help="of a reading (default 16)")
    model.add_argument("--apid", type=int, default=1, help="CCSDS application id (default 1)")
    model.add_argument("--unit-id", type=int, default=1, help="serial number of the chip (default 1)")
    model.add_argument("--seed", type=int, default=0, help="of the readings' values (default 0)")
    model.add_argument("--baud", type=int, default=0, help="pace the device's output (default 0: do not)")
    model.add_argument("--clock-offset-us", type=int, default=0, help="device clock at boot (default 0)")
    model.add_argument("--clock-drift-ppm", type=float, default=0.0, help="of the device clock (default 0)")
    for each in (bridge, model):
        each.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    return parser


def _fail(status: int, text: object) -> int:
    print(f"firmware_bridge: {text}", file=sys.stderr)
    return status


def _bridge(options: argparse.Namespace) -> int:
    from firmware_bridge.ports import PortSettings, PortUrlError

    endpoint = re.fullmatch(r"tcp://\S+:(\d{1,5})|(?:ipc|inproc)://\S+", options.connect)
    if endpoint is None or not 0 < int(endpoint[1] or 1) < 65_536:
        return _fail(2, f"--connect {options.connect!r} must be an endpoint such as tcp://127.0.0.1:5555")
    if not 0 < options.wait < 1e6:
        return _fail(2, f"--wait {options.wait} must be a positive number of seconds")
    try:
        settings = PortSettings(options.port, options.baud, options.dtr, options.rts)
    except PortUrlError as error:
        return _fail(2, error)

    from firmware_bridge.bridge import ROLE, Microcontroller
    from nodes import agent
    from nodes.node import ConfigError, Node

    def make_role(node: Node) -> Microcontroller:
        return Microcontroller(node, settings, runner.call, options.baud if options.pace else 0)

    runner = agent.Agent(options.id, ROLE, options.connect, make_role, wait_s=options.wait)
    runner.end_on_signals()
    try:
        runner.run()
    except (ConfigError, agent.RefusedError) as error:
        return _fail(agent.BAD_INPUT, error)
    except agent.NetworkError as error:
        return _fail(agent.ENVIRONMENT, error)
    return agent.DONE


def _model(options: argparse.Namespace) -> int:
    from firmware_bridge.boards.model import ModelSettings
    from firmware_bridge.boards.pty_model import run

    if options.baud != 0 and not 300 <= options.baud <= 12_000_000:
        return _fail(2, f"--baud {options.baud}: allowed is 0 (no pacing) or 300 to 12000000")
    if not 0 <= options.interval_s <= 86_400:
        return _fail(2, f"--interval-s {options.interval_s}: allowed is 0 to 86400")
    try:
        settings = ModelSettings(
            apid=options.apid,
            unit_id=options.unit_id,
            interval_ms=round(options.interval_s * 1_000),
            reading_bytes=options.reading_bytes,
            clock_offset_us=options.clock_offset_us,
            clock_drift_ppm=options.clock_drift_ppm,
            seed=options.seed,
        )
    except ValueError as error:
        return _fail(2, error)
    return run(settings, options.link, options.baud)


if __name__ == "__main__":
    sys.exit(main())
