"""Namespaces for one program: its own network and files that name the hosts of the emulated network.

A process that enters new ones keeps its files, terminal, directory and environment; it loses every interface
of the host. Without root it gets a user namespace too, in which it is root: ping and traceroute need that.
Real root stays real root, and could go back to the host's network if it wanted to. Not here: the interface
(`tun`, `interface`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from testbed.ip.protocol import Host

# linux/sched.h, sys/mount.h, linux/prctl.h
_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 1 << 19
_MNT_DETACH: Final = 2
#: largest group id that net.ipv4.ping_group_range takes
_MOST_GROUPS: Final = 2147483647

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), None)


def enter_new() -> None:
    """Move this process, which has one thread, to new network and mount namespaces.

    A user namespace, with this process's user as root, comes with them when they are not permitted without.
    OSError when it is not permitted either.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", _CLONE_NEWNET | _CLONE_NEWNS)
    except PermissionError:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS)
        # user_namespaces(7): without privilege only one's own ids can be mapped, and setgroups must go first
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            Path("/proc/self", name).write_text(text, encoding="ascii")
    # What the host mounts later still shows; what is mounted here never does outside.
    _mount("none", "/", flags=_MS_REC | _MS_SLAVE)
    _let_ping()


def enter_those_of(pid: int) -> None:
    """Move this process, which has one thread, to the namespaces of another.

    ProcessLookupError when there is no such process; OSError when it is not permitted.
    """
    directory = os.getcwd()
    process = os.pidfd_open(pid)
    try:
        kinds = _CLONE_NEWNET | _CLONE_NEWNS
        if os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino:
            kinds |= _CLONE_NEWUSER  # one's own cannot be entered again
        _call("setns", process, kinds)
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, f"there is no process {pid}") from None
    finally:
        os.close(process)
    os.chdir(directory)  # entering a mount namespace leads to its root


def _let_ping() -> None:
    """Permit ICMP echo sockets to every group there is, so that ping needs no privilege."""
    path = Path("/proc/sys/net/ipv4/ping_group_range")
    try:
        path.write_text(f"0 {_MOST_GROUPS}", encoding="ascii")
    except OSError:  # in a user namespace only groups that it knows
        path.write_text("0 0", encoding="ascii")


def cover_files(hosts: Iterable[Host]) -> None:
    """Put what is true in the emulated network over what the host's files say of networks.

    /etc/hosts names `hosts`; resolv.conf and nsswitch.conf lead to no name server of the host's; /sys shows
    this namespace's interfaces. To be called in a mount namespace of its own, before programs run. OSError
    when it is not permitted.
    """
    contents = {"/etc/hosts": hosts_file(hosts), "/etc/resolv.conf": "# names are in /etc/hosts\n"}
    with contextlib.suppress(OSError):
        contents["/etc/nsswitch.conf"] = _files_first(Path("/etc/nsswitch.conf").read_text())
    groups = -1
    with contextlib.suppress(OSError):
        groups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_DIRECTORY)
    try:
        # Files of a file system that has gone again: nothing stays behind, however this process ends.
        _mount("testbed", "/sys", "tmpfs")
        for target, content in contents.items():
            if os.path.exists(target):
                source = Path("/sys", os.path.basename(target))
                source.write_text(content, encoding="utf-8")
                source.chmod(0o644)
                _mount(str(source), target, flags=_MS_BIND)
        _call("umount2", b"/sys", _MNT_DETACH)
        _show_own_interfaces(groups)
    finally:
        if groups >= 0:
            os.close(groups)
    if os.path.isdir("/run/nscd"):  # would ask the host's name servers
        _mount("testbed", "/run/nscd", "tmpfs")


def _show_own_interfaces(groups: int) -> None:
    try:
        _mount("sysfs", "/sys", "sysfs")
    except PermissionError:  # in containers that hide parts of /sys
        _mount("testbed", "/sys/class/net", "tmpfs")
        return
    if groups >= 0:
        _mount(f"/proc/self/fd/{groups}", "/sys/fs/cgroup", flags=_MS_BIND | _MS_REC)


def hosts_file(hosts: Iterable[Host]) -> str:
    """An /etc/hosts (hosts(5)) of these names; what a name may not have becomes a hyphen."""
    lines = [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        f"127.0.1.1 {_host_name(socket.gethostname())}",
    ]
    for host in hosts:
        name = _host_name(host.name)
        lines += [f"{host.ipv4} {name}", f"{host.ipv6} {name}"]
    return "\n".join(lines) + "\n"


def _host_name(name: str) -> str:
    kept = "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else " " for each in name)
    return "-".join(kept.split()) or "unnamed"


def _files_first(switch: str) -> str:
    """An nsswitch.conf (nsswitch.conf(5)) that looks names up in /etc/hosts and asks no service."""
    lines = [line for line in switch.splitlines() if not line.strip().startswith("hosts:")]
    return "\n".join([*lines, "hosts: files dns"]) + "\n"


def why_not(error: OSError) -> str:
    """A sentence for an error of making namespaces and interfaces in them, with what would permit it."""
    if error.filename == "/dev/net/tun":
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return "there is no TUN device here (/dev/net/tun); as root: modprobe tun"
        return f"/dev/net/tun cannot be opened ({error.strerror}); as root: chmod 666 /dev/net/tun"
    return f"namespaces are not permitted here ({error.strerror}); {_remedy()}"


#: settings that forbid user namespaces: file, what it must not be, what sets it right
_FORBIDDING: Final = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def _remedy() -> str:
    found = []
    for path, forbidding, command in _FORBIDDING:
        with contextlib.suppress(OSError):
            if Path(path).read_text(encoding="ascii").strip() == forbidding:
                found.append(command)
    if found:
        return f"as root: {'; '.join(found)}; or run everything as root"
    return "run everything as root, or outside of the container or sandbox that forbids it"
