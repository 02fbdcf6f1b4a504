"""The central twin's process: hears edges, answers questions; it can be killed and started again at any time.

It keeps nothing on disk: what it knew comes back from the edges, each of which sends everything to a centre
that it does not know. Who is asked about what is in `hierarchy`. Command line:
`python -m testbed.twin.central --bind ENDPOINT --public FILE [--edges N]`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

import zmq

from nodes.processes import die_with_parent
from testbed.errors import BadInput, TestbedError
from testbed.twin import knowledge
from testbed.twin.edge import on_this_host, owner_of, partition
from testbed.twin.hierarchy import Centre

#: messages of edges that may wait
_WAITING_MAX = 1_024

log = logging.getLogger("twin")


class Central:
    """The centre's socket and loop."""

    def __init__(self, endpoint: str, centre: Centre) -> None:
        self._centre = centre
        self._stopping = False
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, _WAITING_MAX)
        # an edge that was started again takes its name over from the one before
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        try:
            self._socket.bind(on_this_host("--bind", endpoint))
        except BadInput:
            self.close()
            raise
        except zmq.ZMQError as error:
            self.close()
            raise BadInput(f"--bind {endpoint}: cannot be bound ({error.strerror})") from None
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def run(self) -> None:
        """Answers until stopped."""
        try:
            while not self._stopping:
                if not self._socket.poll(200):
                    continue
                sender, *frames = self._socket.recv_multipart()
                answer = self._centre.take(frames[-1]) if frames else None
                if answer is not None:
                    self._socket.send_multipart([sender, answer])
        finally:
            self.close()

    def stop(self) -> None:
        """Ends the loop soon (signal handler)."""
        self._stopping = True

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line and runs the centre; exit 2 on bad input."""
    parser = argparse.ArgumentParser(prog="testbed.twin.central", description="A central twin over edges.")
    parser.add_argument(
        "--bind", required=True, metavar="ENDPOINT", help="ipc://PATH or tcp://127.0.0.1:PORT"
    )
    parser.add_argument("--public", required=True, type=Path, metavar="FILE", help="public knowledge, JSON")
    parser.add_argument("--edges", type=int, metavar="N", help="number of edges (one a gateway)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    die_with_parent()
    try:
        scopes = partition(knowledge.load(options.public), options.edges)
        central = Central(options.bind, Centre(time.monotonic_ns(), owner_of(scopes)))
    except TestbedError as error:
        print(f"testbed.twin.central: {error}", file=sys.stderr)
        return error.exit_status
    signal.signal(signal.SIGTERM, lambda *_: central.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.info("edges are heard on %s", central.endpoint)
    central.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
