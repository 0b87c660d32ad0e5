"""What an administrator changes behind the program's back: seen, explained, settled, undone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hosts.base import ADMIN
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, details, harden, history, roll_back

pytestmark = pytest.mark.either_release

SSH = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
MINE = "/etc/ssh/sshd_config.d/00-first.conf"
APACHE = "/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf"
HOSTS = "/etc/hosts"
LATIN = "/etc/caf\\xe9.conf"
"""A name that is not UTF-8, as it is shown."""
REDIRECTS = "net.ipv4.conf.all.accept_redirects"


def test_drift_is_seen_settled_and_never_lost(host: LabHost) -> None:
    first = fingerprint(host)
    apply(host, "ssh.limits", "apache.banner")
    assert details(host)["drift"]["things"] == []
    left = fingerprint(host)

    host.run("sed", "-i", "s/^MaxAuthTries .*/MaxAuthTries 6/", SSH)
    host.run("sh", "-c", f"echo 'PrintMotd no' >> {SSH}")
    host.write(MINE, "MaxSessions 99\n")
    host.run("chmod", "0600", APACHE)
    host.run("sh", "-c", f"echo '192.0.2.7 printer' >> {HOSTS}")
    host.run("systemctl", "reload", "ssh.service")

    answer = details(host)
    things = {row["key"]: row for row in answer["drift"]["things"]}
    assert {key: row["kind"] for key, row in things.items()} == {
        SSH: "edited", MINE: "new", APACHE: "attributes", HOSTS: "edited",
    }  # fmt: skip
    assert things[SSH]["steps"] == ["ssh.limits"] and things[SSH]["owner"] == "root"
    assert answer["drift"]["since"] < things[SSH]["when"].replace("Z", "+00:00")
    assert f"MaxAuthTries 6: {SSH}:3" in things[SSH]["verdicts"][0]["decided_by"]
    verdicts = {one["step"]: one for one in things[MINE]["verdicts"]}
    assert verdicts.keys() == {"ssh.limits", "files.critical-modes"}, "its content and its mode"
    winner = verdicts["ssh.limits"]
    assert winner["status"] == "fail"
    assert winner["decided_by"] == [f"MaxSessions 99: {MINE}:1"]
    assert (
        "-MaxAuthTries 3" in things[SSH]["diff"] and "+192.0.2.7 printer" in things[HOSTS]["diff"]
    )
    said = harden(host, "check", "--checklist", "i-doit", "ssh.limits", check=False)
    assert "Changed outside harden-tui since" in said.stdout and HOSTS not in said.stdout

    shown = settling(host, "merge", SSH)
    assert "+MaxAuthTries 3" in shown["items"][0]["diff"]
    host.run("sh", "-c", f"echo '# later' >> {SSH}")
    done = harden(
        host, "drift", "merge", SSH, "--yes", "--fingerprint", shown["fingerprint"], check=False
    )
    assert done.returncode == 3 and "has changed since" in done.stdout + done.stderr
    harden(host, "drift", "merge", SSH, "--yes")
    assert [line for line in read(host, SSH) if "MaxAuthTries" in line] == ["MaxAuthTries 3"]
    assert read(host, SSH)[-2:] == ["PrintMotd no", "# later"]
    assert drifted(host) == {MINE, APACHE, HOSTS}

    harden(host, "drift", "accept", HOSTS, "--yes")
    host.run("sh", "-c", "echo x > \"$(printf '/etc/caf\\351.conf')\"")
    assert drifted(host) == {MINE, APACHE, LATIN}
    raw = "harden-tui drift restore \"$(printf '/etc/caf\\351.conf')\" --yes"
    assert f"named as it is shown: '{LATIN}'" in host.run("sh", "-c", raw, check=False).stderr
    harden(host, "drift", "restore", LATIN, "--yes")
    assert drifted(host) == {MINE, APACHE}
    harden(host, "drift", "restore", MINE, APACHE, "--yes")
    assert drifted(host) == set()
    changed = {line.partition(":")[0] for line in differences(left, fingerprint(host))}
    assert changed == {f"files {SSH}", f"files {HOSTS}"}
    assert "maxsessions 4" in host.out("sshd", "-T")
    assert details(host, "ssh.limits", "apache.banner")["counts"] == {"pass": 2}

    restored = history(host)[-1]
    assert (restored["kind"], restored["status"]) == ("drift", "committed")
    roll_back(host, restored["id"])
    assert read(host, MINE) == ["MaxSessions 99"]
    assert drifted(host) == {MINE, APACHE}
    harden(host, "drift", "restore", "--all", "--yes")
    assert harden(host, "log", "verify").returncode == 0

    harden(host, "rollback", "--all", "--yes")
    assert read(host, SSH) == ["PrintMotd no", "# later"], "the edits that were merged stay"
    host.run("rm", SSH)
    assert read(host, HOSTS)[-1] == "192.0.2.7 printer"
    changed = {line.partition(":")[0] for line in differences(first, fingerprint(host))}
    assert changed == {f"files {HOSTS}"}, "the first state and the accepted edit"


def test_what_a_reboot_changes_is_no_drift_and_edits_are(host: LabHost) -> None:
    apply(host, "ssh.limits", "kernel.sysctl", "firewall.ufw", "apache.banner")
    # What a boot fills in: a host made from an image, and one whose /usr was updated.
    host.run("truncate", "--size=0", "/etc/machine-id")
    host.run("touch", "/usr")
    host.run("sh", "-c", f"echo '192.0.2.7 printer' >> {HOSTS}")
    host.reboot()
    assert len(host.out("cat", "/etc/machine-id")) == 32
    host.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
    host.write("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n")
    host.run("ldconfig")
    # The container's device is moved in after the settings of the boot were made.
    after_the_boot = {key for key in drifted(host) if ".host0." not in key}
    assert after_the_boot == {HOSTS}
    host.run("sysctl", "-w", "net.ipv4.conf.all.accept_redirects=1")
    host.run("ufw", "allow", "8081/tcp")
    host.run("systemctl", "stop", "ufw.service")
    found = drifted(host)
    assert {HOSTS, "net.ipv4.conf.all.accept_redirects", "/etc/ufw/user.rules"} <= found
    assert not found & {"/etc/machine-id", "/etc/resolv.conf", "/etc/adjtime", "/etc/ld.so.cache"}


def test_what_is_known_of_units_settings_chains_and_packages_is_told(host: LabHost) -> None:
    apply(host, "kernel.sysctl", "firewall.ufw", "defence.fail2ban")
    since = details(host)["drift"]["since"]
    host.run("systemctl", "stop", "fail2ban.service")
    host.write("/etc/systemd/system/fail2ban.service.d/mine.conf", "[Service]\nNice=1\n")
    host.run("chown", "-R", f"{ADMIN}:", "/etc/systemd/system/fail2ban.service.d")
    host.run("systemctl", "daemon-reload")
    host.run("sysctl", "-w", f"{REDIRECTS}=1")
    host.run("iptables", "-I", "INPUT", "-s", "192.0.2.7", "-j", "ACCEPT")
    found = rows(host)
    unit = found["fail2ban.service"]
    assert unit["when"].replace("Z", ".9") > since[:21], "when it was stopped"
    (told,) = unit["told"]
    assert told.startswith("/etc/systemd/system/fail2ban.service.d/mine.conf changed ")
    assert told.endswith(f", owner {ADMIN}")
    *files, at_run_time = found[REDIRECTS]["told"]
    assert all(" sets it to 0 (changed " in file for file in files) and len(files) == 2
    assert at_run_time == "that it is 1 was set at run time"
    assert "nothing on a host keeps" in found["ip filter INPUT"]["told"][0]

    host.run("apt-mark", "hold", "fail2ban")
    host.run("apt-mark", "auto", "fail2ban")
    held = rows(host)["fail2ban"]
    assert (held["choices"], held["told"], held["when"]) == (["accept", "restore"], [], "")
    shown = settling(host, "restore", "fail2ban")
    assert shown["commands"] == [
        "apt-mark manual fail2ban", "dpkg --set-selections <<< fail2ban install",
    ]  # fmt: skip
    harden(host, "drift", "restore", "fail2ban", "--yes", "--fingerprint", shown["fingerprint"])
    assert host.out("apt-mark", "showhold") == ""
    assert "fail2ban" in host.out("apt-mark", "showmanual").split()
    assert "fail2ban" not in rows(host) and "fail2ban.service" in rows(host)

    host.ssh("sudo apt-get remove -y fail2ban")
    package = rows(host)["fail2ban"]
    assert package["choices"] == ["accept"]
    assert "`harden-tui apply defence.fail2ban`" in package["cannot"]
    assert package["explained"].startswith("remove of fail2ban ") and package["when"]
    assert package["told"] == [f"by `apt-get remove -y fail2ban`, requested by {ADMIN}"]
    said = harden(host, "drift", check=False).stdout
    assert f"requested by {ADMIN}" in said and "was set at run time" in said
    apply(host, "defence.fail2ban")
    assert not {"fail2ban", "fail2ban.service"} & drifted(host), "the step brings both back"


def settling(host: LabHost, *arguments: str) -> dict[str, Any]:
    """What it would do, as a dry run answers."""
    answer: dict[str, Any] = json.loads(
        harden(host, "drift", *arguments, "--dry-run", "--format", "json").stdout
    )
    return answer


def rows(host: LabHost) -> dict[str, Any]:
    answer = json.loads(harden(host, "drift", "--format", "json", check=False).stdout)
    return {row["key"]: row for row in answer["things"]}


def drifted(host: LabHost) -> set[str]:
    return set(rows(host))


def read(host: LabHost, path: str) -> list[str]:
    return host.out("cat", path).splitlines()
