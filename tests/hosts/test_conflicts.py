"""An administrator changed what a step wrote: shown as three sides, settled by flags, undone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history

pytestmark = pytest.mark.either_release

LIMITS = "ssh.limits"
DROP_IN = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
BANS = "defence.fail2ban"
JAILS = "/etc/fail2ban/jail.conf"


def effective(host: LabHost, keyword: str) -> str:
    """What sshd would do now."""
    lines = host.out("sshd", "-T").splitlines()
    return next(line.split(" ", 1)[1] for line in lines if line.startswith(f"{keyword} "))


def dry_run(host: LabHost, *arguments: str) -> dict[str, Any]:
    done = harden(host, "rollback", *arguments, "--dry-run", "--format", "json", check=False)
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (3 if in_conflict(document) else 0), done.stderr
    return document


def in_conflict(document: dict[str, Any]) -> list[str]:
    return [
        item["key"]
        for plan in document["plans"]
        for item in plan["items"]
        if item["how"] == "conflict"
    ]


def change_what_the_step_wrote(host: LabHost) -> None:
    apply(host, LIMITS)
    host.run("sed", "-i", "s/^MaxAuthTries.*/MaxAuthTries 5/", DROP_IN)
    host.run("systemctl", "reload", "ssh.service")
    assert effective(host, "maxauthtries") == "5"


def test_three_ways_out_of_a_conflict_on_a_running_sshd(host: LabHost) -> None:
    first = fingerprint(host)
    tries, grace = effective(host, "maxauthtries"), effective(host, "logingracetime")

    change_what_the_step_wrote(host)
    changed = fingerprint(host)
    shown = harden(host, "rollback", LIMITS, "--dry-run", check=False)
    assert shown.returncode == 3
    assert "-MaxAuthTries 3" in shown.stdout and "+MaxAuthTries 5" in shown.stdout
    assert f"--merge={DROP_IN}" in shown.stdout
    refused = harden(host, "rollback", LIMITS, "--yes", check=False)
    assert refused.returncode == 3
    wrong = harden(host, "rollback", LIMITS, "--yes", "--merge=/etc/hosts", check=False)
    assert wrong.returncode == 2
    assert f"only {DROP_IN} is" in wrong.stderr
    assert differences(changed, fingerprint(host)) == []

    approved = dry_run(host, LIMITS, f"--merge={DROP_IN}")["fingerprint"]
    harden(host, "rollback", LIMITS, "--merge", "--yes", "--fingerprint", approved)
    assert host.out("cat", DROP_IN) == "MaxAuthTries 5"
    assert effective(host, "maxauthtries") == "5"
    assert effective(host, "logingracetime") == grace
    assert host.can_log_in()
    host.run("rm", DROP_IN)
    host.run("systemctl", "reload", "ssh.service")
    assert differences(first, fingerprint(host)) == []

    change_what_the_step_wrote(host)
    harden(host, "rollback", "--restore", LIMITS, "--yes")
    assert effective(host, "maxauthtries") == tries
    assert differences(first, fingerprint(host)) == []
    given_up = json.loads(
        harden(host, "history", "show", history(host)[-1]["id"], "--format", "json").stdout
    )
    assert given_up["record"]["resolved"] == {DROP_IN: "restore"}
    assert "-MaxAuthTries 5" in given_up["deltas"][0]["diff"]

    change_what_the_step_wrote(host)
    kept = host.out("cat", DROP_IN)
    harden(host, "rollback", "--keep-current", LIMITS, "--yes")
    assert host.out("cat", DROP_IN) == kept
    assert effective(host, "maxauthtries") == "5"


def test_a_changed_file_of_a_package_that_goes_outlives_the_purge_if_so_chosen(
    host: LabHost,
) -> None:
    first = fingerprint(host)
    apply(host, BANS)
    host.run("sed", "-i", "s/^bantime .*/bantime  = 77m/", JAILS)
    changed = host.out("cat", JAILS)
    assert in_conflict(dry_run(host, BANS)) == [JAILS]
    harden(host, "rollback", BANS, f"--keep-current={JAILS}", "--yes")
    assert "fail2ban" not in host.out("dpkg-query", "-W", "-f", "${Package}\n")
    assert host.out("cat", JAILS) == changed
    left = differences(first, fingerprint(host))
    assert [line for line in left if "/etc/fail2ban" not in line] == []


def test_what_lay_in_directories_is_not_put_back_through_a_link(host: LabHost) -> None:
    """Taken away in an update window; then the administrator links the directory elsewhere."""
    host.run("mkdir", "-p", "/etc/site/deep/er", "/srv/site/deep/er")
    for name in ("/etc/site/deep/er/a", "/etc/site/deep/er/b", "/srv/site/deep/er/a"):
        host.write(name, f"{name}\n")
    harden(host, "window", "open", "--yes")
    host.run("rm", "-r", "/etc/site")
    harden(host, "window", "close", "--yes")
    host.run("ln", "-s", "../srv/site", "/etc/site")
    look = ("find", "/srv/site", "-printf", "%p %M %u %l %T@\\n")
    before = host.out(*look)
    done = harden(host, "window", "undo", "--yes", check=False)
    assert done.returncode != 0, done.stdout
    said = " ".join((done.stdout + done.stderr).split())
    assert "/etc/site" in said and "Traceback" not in said, said
    assert host.out(*look) == before
    assert host.out("cat", "/srv/site/deep/er/a") == "/srv/site/deep/er/a"
    assert host.out("readlink", "/etc/site") == "../srv/site"
