"""The package on a blank host: installed without a network, used, and gone without a trace."""

from __future__ import annotations

from pathlib import Path

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost


def test_installed_offline_used_and_purged(blank: LabHost, packages: dict[str, Path]) -> None:
    before = fingerprint(blank)
    blank.install(packages[blank.suite])
    assert blank.ssh("harden-tui --version").stdout.startswith("harden-tui ")
    done = blank.ssh("sudo harden-tui check --checklist server", check=False)
    assert done.returncode == 1 and "ssh.root-login" in done.stdout, done.stderr
    for path in (
        "/usr/share/man/man8/harden-tui.8.gz",
        "/usr/share/bash-completion/completions/harden-tui",
        "/usr/share/doc/harden-tui/copyright",
    ):
        assert (blank.root / path.lstrip("/")).exists(), path
    blank.run("apt-get", "purge", "-y", "-q", "harden-tui")
    assert differences(before, fingerprint(blank)) == []
    assert not (blank.root / "usr/lib/harden-tui").exists()
