"""Whether this machine lets programs have IP interfaces of their own: it is tried, in a process of its own.

`python -m testbed.ip.permitted` makes namespaces and an interface, which end with it, and prints nothing or
why not.
"""

from __future__ import annotations

import subprocess
import sys

from testbed.ip import interface, namespace, tun


def why_not_here() -> str:
    """Empty when `testbed exec` works here, else a sentence with what would permit it."""
    if sys.platform != "linux":
        return f"needs network namespaces and TUN, which only Linux has, and this is {sys.platform}"
    result = subprocess.run(
        [sys.executable, "-m", "testbed.ip.permitted"], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return (result.stderr.strip().splitlines() or ["no interface could be made"])[-1]
    return result.stdout.strip()


def _try() -> str:
    try:
        namespace.enter_new()
        namespace.cover_files(())
        interface.be_quiet()
        tun.create("tun0")  # closed with the process
    except OSError as error:
        return namespace.why_not(error)
    return ""


if __name__ == "__main__":
    print(_try())
