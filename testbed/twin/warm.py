"""Compiles the twin's own kernels once, telling what it is at: `python -m testbed.twin.warm`.

Those of the network that it shares with the plant are compiled by `emulator.warm`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from testbed.twin import forecast, running, synchronisation

STEPS: Final[dict[str, Callable[[], None]]] = {
    "twin's forecasts": forecast.rehearse,
    "twin's ages": synchronisation.rehearse,
    "twin's figures": running.rehearse,
}


def main() -> int:
    """Run the steps, a line for each; 0 when all is compiled."""
    for name, step in STEPS.items():
        began = time.perf_counter()
        step()
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
