"""A directory that an administrator replaces by a link or a file: put back with one of its files,
never written through, and there again where that is undone."""

from __future__ import annotations

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history
from tests.hosts.test_drift import drifted

pytestmark = pytest.mark.either_release

BANNER = "/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf"
AVAILABLE = "/etc/apache2/conf-available"
KERNEL = "/etc/sysctl.d/99-zz-harden-tui-kernel-sysctl.conf"
ELSEWHERE = "/root/elsewhere"


def test_a_directory_that_became_a_link_or_a_file_comes_back_with_its_file(host: LabHost) -> None:
    apply(host, "kernel.sysctl", "apache.banner")
    host.run("mv", AVAILABLE, ELSEWHERE)
    host.run("ln", "-s", ELSEWHERE, AVAILABLE)
    host.run("rm", "-r", "/etc/sysctl.d")
    host.write("/etc/sysctl.d", "a file\n")
    replaced = fingerprint(host)
    moved = host.out("find", ELSEWHERE, "-printf", "%p %T@ %C@\n")

    kernel, banner = put_back(host, KERNEL), put_back(host, BANNER)
    assert host.out("stat", "-c", "%F", "/etc/sysctl.d", AVAILABLE) == "directory\ndirectory"
    assert not {KERNEL, BANNER, AVAILABLE, "/etc/sysctl.d"} & drifted(host)
    assert host.out("find", ELSEWHERE, "-printf", "%p %T@ %C@\n") == moved

    for settling in (kernel, banner):  # in the order in which they were made
        harden(host, "rollback", settling, "--yes")
    assert differences(replaced, fingerprint(host)) == []
    assert host.out("readlink", AVAILABLE) == ELSEWHERE

    kernel = put_back(host, KERNEL)
    harden(host, "rollback", "kernel.sysctl", "--yes")
    harden(host, "rollback", kernel, "--yes")
    assert host.out("cat", "/etc/sysctl.d") == "a file"


def put_back(host: LabHost, path: str) -> str:
    """One file; returns the id of the transaction."""
    harden(host, "drift", "restore", path, "--yes")
    return str(history(host)[-1]["id"])
