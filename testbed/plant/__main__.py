"""`python -m testbed.plant --run DIR --connect ENDPOINT`: the plant's process."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


def main() -> int:
    """Run the plant; exit status 2 for bad input, 3 when the environment cannot do it."""
    parser = argparse.ArgumentParser(prog="testbed.plant", description="the channel of a run")
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    parser.add_argument("--connect", required=True, help="control endpoint of the supervisor")
    parser.add_argument("--core", type=int, help="a core that everybody else leaves to the channel")
    arguments = parser.parse_args()
    # Ctrl-C goes to the supervisor, which ends the run in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from emulator.dataplane.channel import ChannelError
    from emulator.epochs import EpochError
    from emulator.errors import MissingPackageError, WorldError
    from testbed.errors import TestbedError
    from testbed.member import SilenceError
    from testbed.plant.process import run

    try:
        run(arguments.run, arguments.connect, arguments.core)
    except ChannelError as error:
        print(f"network.data_endpoint: {error}", file=sys.stderr)
        return 2
    except MissingPackageError as error:
        print(error, file=sys.stderr)
        return 3
    except (EpochError, WorldError) as error:
        print(error, file=sys.stderr)
        return 2
    except SilenceError as error:
        print(error, file=sys.stderr)
        return 3
    except TestbedError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
