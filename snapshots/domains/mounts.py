"""The options of mounts that steps may change: part of what the kernel holds.

Which file systems are mounted lies in /etc; what a running kernel lets programs do there (execute,
use devices, change their user) does not. A directory that a step mounted over itself stays so until
the next boot, with no option left: taking the mount away would take the private /tmp of running
services (PrivateTmp=) with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from host.base import CommandMissing, Host, HostError
from host.facts.mounts import FLAGS, POINTS, Mount, own_mounts, parse_mountinfo
from snapshots.progress import Progress

PREFIX = "mount "
"""Before the mount point in a key of kind kernel."""
OF = " of "
"""Before the service whose own mount it is: "mount /tmp of apache2.service"."""

BARE = "dev,suid,exec"


def capture(host: Host) -> dict[str, str]:
    """{"mount /tmp": "nodev,nosuid,exec", "mount /var/tmp": ""}; "" is no mount of its own, or a
    directory mounted over itself without an option, which is the same to every program.

    A mount that only a web service sees is there as "mount /tmp of apache2.service". Empty where
    the kernel does not tell its mounts.
    """
    try:
        text = host.read_bytes("/proc/self/mountinfo").decode("utf-8", "replace")
    except HostError:
        return {}
    now = parse_mountinfo(text)
    found = {}
    for point in POINTS:
        if host.state(point) is None:
            continue
        found[f"{PREFIX}{point}"] = _options(now.get(point))
    for unit, own in own_mounts(host).items():
        for point in POINTS:
            if point in own.now:
                found[f"{PREFIX}{point}{OF}{unit}"] = _options(own.now[point])
    return found


def _options(mount: Mount | None) -> str:
    if mount is None:
        return ""
    options = ",".join(flag if flag in mount.flags else flag[2:] for flag in FLAGS)
    return "" if mount.over_itself and options == BARE else options


def command(key: str, value: str) -> str:
    """What would give a mount its options back, as typed; "" for a key of another kind."""
    if not key.startswith(PREFIX):
        return ""
    point, of, unit = key.removeprefix(PREFIX).partition(OF)
    if of:
        return f"mount -o remount,bind,{value} {point} (in the namespace of {unit})"
    return f"mount -o remount,bind,{value or BARE} {point}"


def restore(host: Host, wanted: Mapping[str, str], progress: Progress) -> None:
    """Give mounts their options back. What is none any more, or another one, is left so.

    Raises `HostError` naming the mount.
    """
    for key, value in wanted.items():
        now = capture(host)
        if key not in now or now[key] in ("", value):
            continue
        point, _, unit = key.removeprefix(PREFIX).partition(OF)
        if not value and not _over_itself(host, point):
            continue  # somebody mounted something else there since
        try:
            if unit:
                own = own_mounts(host).get(unit)
                if own is None:
                    continue  # it has just ended, and its mounts with it
                pid, options = str(own.pid), f"remount,bind,{value}"
                inside = ("nsenter", "--target", pid, "--mount", "mount", "-o", options, point)
                _run(host, progress, inside)
            else:
                _run(host, progress, ("mount", "-o", f"remount,bind,{value or BARE}", point))
        except CommandMissing:
            pass
        left = capture(host).get(key, value)
        if left != value:
            raise HostError(
                f"The mount {point} could not be given its options back: it has"
                f" {left or 'none'} instead of {value or 'being no mount of its own'}."
                f" Try `{command(key, value)}`."
            )


def _over_itself(host: Host, point: str) -> bool:
    text = host.read_bytes("/proc/self/mountinfo").decode("utf-8", "replace")
    mount = parse_mountinfo(text).get(point)
    return mount is not None and mount.over_itself


def _run(host: Host, progress: Progress, argv: tuple[str, ...]) -> None:
    progress.command(" ".join(argv))
    host.run(argv, ok=None, timeout_s=30)
