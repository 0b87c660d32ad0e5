"""Update windows on real hosts: an update and its undo, a deadline with nobody there, kill -9."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.histories import archive
from tests.histories.archive import Deb
from tests.hosts.beds import idoit
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import harden, history, statuses

pytestmark = pytest.mark.either_release

TREE = idoit.PATH
TOOLS = "/srv/tools"
SOON = "/run/systemd/system/harden-tui-window.timer.d"
"""In the memory of the host, which a look from outside does not reach."""
OLD = Deb(name="needy", version="1", files={"/etc/needy.conf": "one\n", "/usr/share/needy": "1\n"})
NEW = Deb(
    name="needy", version="2.0", files={"/etc/needy.conf": "two\n", "/usr/share/needy": "2\n"}
)


@pytest.fixture(scope="module")
def site(
    suite: str, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabHost]:
    """A host that serves i-doit, sealed; each test leaves it so."""
    folder = tmp_path_factory.mktemp("debs")
    with LabHost(suite, installed) as host:
        idoit.install(host, files=1500)
        for deb in (OLD, NEW):
            host.write(f"{TOOLS}/{deb.file_name}", archive.build(deb, folder).read_bytes())
        host.run("dpkg", "-i", f"{TOOLS}/{OLD.file_name}")
        seal(host, "apply")
        yield host


def seal(host: LabHost, command: str) -> None:
    harden(host, command, "--checklist", "i-doit", "app.tree", "--yes")


def window(host: LabHost, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return harden(host, "window", *words, check=check)


def status(host: LabHost) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(window(host, "status", "--format=json", check=False).stdout)
    return answer


def rows(host: LabHost) -> str:
    return host.out("mariadb", "-N", "-e", "SELECT COUNT(*) FROM idoit_data.isys_obj")


def is_sealed(host: LabHost, path: str = TREE) -> bool:
    return "i" in host.out("lsattr", "-d", path).split()[0]


def drift(host: LabHost) -> list[Any]:
    done = harden(host, "drift", "list", "--format", "json", check=False)
    things: list[Any] = json.loads(done.stdout)["things"]
    return things


def wait_until(what: Callable[[], bool], limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.2)


def update(host: LabHost) -> None:
    """What an update brings: new files, changed ones, another version of a package, new rows."""
    host.write(f"{TREE}/index.php", (host.root / TREE[1:] / "index.php").read_text() + "\n// 2\n")
    host.run("install", "-d", f"{TREE}/src/classes/modules/fresh")
    host.write(f"{TREE}/src/classes/modules/fresh/init.php", "<?php // new\n")
    host.run("rm", f"{TREE}/console.php")
    host.run("apt-get", "install", "-y", "-q", "-o", "Dpkg::Options::=--force-confnew",
             f"{TOOLS}/{NEW.file_name}")  # fmt: skip
    host.run("mariadb", "-e", "DELETE FROM idoit_data.isys_obj LIMIT 3")


def test_an_update_is_sealed_reported_and_undone(site: LabHost) -> None:
    host = site
    sealed, count = fingerprint(host, TREE), rows(host)
    opened = window(host, "open", "--checklist", "i-doit", "--for=2h", "--dump=idoit_data",
                    "--note=release 2", "--yes")  # fmt: skip
    assert "Lifted: app.tree" in opened.stdout
    assert not is_sealed(host)
    assert (
        harden(host, "apply", "--checklist", "i-doit", "app.tree", "--yes", check=False).returncode
        == 3
    )
    update(host)
    closed = window(host, "close", "--yes")
    assert "Sealed again: app.tree" in closed.stdout
    assert is_sealed(host, f"{TREE}/src/classes/modules/fresh/init.php")
    assert statuses(host, "app.tree") == {"app.tree": "pass"}
    assert idoit.answers(host) is False, "three of its objects are gone"
    assert drift(host) == []
    report = status(host)["last"]
    assert {"name": "needy", "before": "1", "after": "2.0"} in report["packages"]
    tree = next(one for one in report["files"] if one["top"] == TREE)
    assert (tree["new"], tree["gone"], tree["edited"]) == (2, 1, 1)
    exported = harden(host, "log", "export", "-", "--as", "json").stdout
    assert "+// 2" in exported and "needy 1 -> 2.0" in exported
    assert idoit.PASSWORD not in exported

    undone = window(host, "undo", "--yes")
    assert "was undone" in undone.stdout
    assert rows(host) == count and idoit.answers(host)
    assert differences(sealed, fingerprint(host, TREE)) == []
    assert drift(host) == []


def test_nobody_is_there_and_it_waits_for_a_writer_and_closes(site: LabHost) -> None:
    host = site
    login = subprocess.Popen(
        host.ssh_argv("sudo harden-tui window open --for=60s --yes; sleep 600"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: (status(host)["window"] or {}).get("state") == "open")
    login.kill()
    login.wait()
    host.reboot()
    assert status(host)["window"]["state"] == "open", "a reboot keeps it"
    assert not is_sealed(host)
    # Each second instead of every five minutes, from the deadline on.
    soon = "[Timer]\nOnUnitInactiveSec=1s\nOnActiveSec=1s\n"
    host.run("install", "-d", SOON)
    host.run("sh", "-c", f"cat >{SOON}/soon.conf", stdin=soon)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "harden-tui-window.timer")
    host.run("systemd-run", "--unit=writer", "sh", "-c", f"exec >>{TREE}/half.php; sleep 600")
    wait_until(lambda: status(host)["window"]["waiting"] is not None, 120.0)
    assert f"{TREE}/half.php" in status(host)["window"]["waiting"]["writers"][0]
    assert not is_sealed(host)
    assert "window-overdue" in harden(host, "log", "show", "--all").stdout
    host.run("systemctl", "stop", "writer")
    wait_until(lambda: status(host)["window"] is None)
    assert status(host)["last"]["how"] == "deadline"
    assert is_sealed(host, f"{TREE}/half.php")
    assert drift(host) == []
    host.run("rm", "-r", SOON)
    assert host.run("systemctl", "cat", "harden-tui-window.timer", check=False).returncode != 0
    host.run("chattr", "-i", TREE, f"{TREE}/half.php")
    host.run("rm", f"{TREE}/half.php")
    host.run("chattr", "+i", TREE)


def test_killed_while_it_opens_and_while_it_closes(site: LabHost) -> None:
    host = site
    before = fingerprint(host, TREE)
    began(host, "open", "--for=2h", "--yes")
    wait_until(lambda: not is_sealed(host))
    kill_worker(host)
    assert status(host)["window"]["state"] == "opening"
    assert status(host)["interrupted"]
    assert harden(host, "apply", "files.banners", "--yes", check=False).returncode == 3
    # What the timer does within minutes, with nobody there.
    host.run("systemctl", "start", "harden-tui-window.service")
    wait_until(lambda: status(host)["window"] is None)
    assert differences(before, fingerprint(host, TREE)) == []

    window(host, "open", "--for=2h", "--yes")
    host.write(f"{TREE}/index.php", "<?php // 3\n")
    count = len(history(host))
    began(host, "close", "--yes")
    wait_until(lambda: len(history(host)) > count)  # it seals
    kill_worker(host)
    assert status(host)["window"]["state"] == "closing"
    assert "interrupted" in window(host, "status").stdout
    recovered = harden(host, "recover", "--yes")
    assert "Sealed again: app.tree" in recovered.stdout
    assert status(host)["window"] is None
    assert is_sealed(host, f"{TREE}/index.php")
    assert drift(host) == []
    window(host, "undo", "--yes")
    assert differences(before, fingerprint(host, TREE)) == []


def test_the_seals_are_undone_after_all_windows(site: LabHost) -> None:
    seal(site, "rollback")
    assert not is_sealed(site)
    assert [r for r in history(site) if r["status"] in ("open", "under-way")] == []
    assert harden(site, "history", "verify").returncode == 0
    assert harden(site, "log", "verify").returncode == 0
    seal(site, "apply")


def began(host: LabHost, *words: str) -> None:
    subprocess.Popen(
        host.ssh_argv(f"sudo harden-tui window {' '.join(words)}"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def kill_worker(host: LabHost) -> None:
    """End the working process at once."""
    latest = host.out("sh", "-c", "cat $(ls -td /var/lib/harden-tui/runs/*/ | head -1)run.json")
    host.run("kill", "-KILL", str(json.loads(latest)["pid"]))
