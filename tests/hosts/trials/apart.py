"""A root of its own over a host's root: for servers a trial needs, of which the host gets nothing.

It lies in memory and shares the host's network, so that what runs in it can be reached on loopback.
"""

from __future__ import annotations

import time

from tests.hosts.lab import LabHost

PLACE = "/run/apart"
ROOT = f"{PLACE}/root"
AUTHORITY = f"{PLACE}/authority.pem"
"""The certificate of whatever runs in there, for the name localhost."""

END_LIMIT_S = 30.0


def set_up(host: LabHost, script: str) -> None:
    """Make it, with /etc/apart.pem and .key in it, and run a shell script there."""
    host.run("mkdir", "-p", f"{PLACE}/upper", f"{PLACE}/work", ROOT)
    host.run(
        "mount", "-t", "overlay", "overlay", "-o",
        f"lowerdir=/,upperdir={PLACE}/upper,workdir={PLACE}/work", ROOT,
    )  # fmt: skip
    host.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", f"{ROOT}/etc/apart.key", "-out", f"{ROOT}/etc/apart.pem",
    )  # fmt: skip
    host.run("cp", f"{ROOT}/etc/apart.pem", AUTHORITY)
    host.run("chroot", ROOT, "sh", "-ec", f"mount -t proc proc /proc\n{script}")


def take_away(host: LabHost, script: str) -> None:
    """End what runs in it, by a shell script there, and remove it."""
    host.run("chroot", ROOT, "sh", "-ec", script)
    until_s = time.monotonic() + END_LIMIT_S  # what was told to end takes its time
    while "busy" in host.run("umount", "-R", ROOT, check=False).stderr:
        assert time.monotonic() < until_s, f"something in {ROOT} on {host.suite} does not end"
        time.sleep(0.1)
    host.run("rm", "-r", PLACE)
