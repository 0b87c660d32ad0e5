"""When and by whom units, kernel settings, chains and packages changed: what can be measured."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host.base import Completed, FileState
from host.practice import PracticeHost
from snapshots.domains.units import MASK
from snapshots.drift import Drifted, Standing
from snapshots.drift_apt import Part, parse_history, runs
from snapshots.drift_origin import Origin, origins
from snapshots.model import DomainName, FileItem, Root, TransactionRecord, ValueItem
from steps.drift_model import DriftRow
from tests.unit.test_mounted import mount
from tui.drift_words import whose

SINCE_S = 1_764_000_000.0  # 2025-11-24 16:00 UTC
LATER_S = 1_764_000_600
EARLIER_S = 1_763_990_000
KEY = "net.ipv4.conf.all.accept_redirects"
SYSCTL = "/etc/sysctl.d/90-mine.conf"


class Host(PracticeHost):
    """Its systemd tells what `units` say."""

    asked = 0
    units: dict[str, dict[str, str]]

    def run(self, argv: Sequence[str], **how: Any) -> Completed:
        if tuple(argv[:2]) != ("systemctl", "show"):
            return super().run(argv, **how)
        self.asked += 1
        names = argv[argv.index("--") + 1 :]
        told = [{"Id": name, **self.units.get(name, {})} for name in names]
        text = "\n\n".join("\n".join(f"{k}={v}" for k, v in one.items()) for one in told)
        return Completed(tuple(argv), 0, f"{text}\n", "", 0.0)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "host")
    made.units = {"systemd-sysctl.service": {"ActiveEnterTimestamp": f"@{EARLIER_S}"}}
    return made


def put(host: Host, path: str, text: str, at_s: int = LATER_S) -> None:
    parts = path.split("/")
    for number in range(2, len(parts)):
        above = "/".join(parts[:number])
        if host.state(above) is None:
            host.put(above, FileState(kind="dir", mode=0o755))
    host.put(path, FileState(kind="file", mode=0o644), text.encode())
    os.utime(host.files.real(path), ns=(0, at_s * 10**9))


def thing(domain: DomainName, key: str, before: str | None, now: str | None) -> Drifted:
    items = [None if value is None else ValueItem(value) for value in (before, now)]
    return Drifted(domain=domain, key=key, kind="value", before=items[0], now=items[1])


def origin(host: Host, one: Drifted) -> Origin:
    return origins(host, [one], SINCE_S)[0]


def test_a_unit_is_told_with_its_time_and_the_files_that_changed_since(host: Host) -> None:
    drop_in = "/etc/systemd/system/apache2.service.d/mine.conf"
    older = "/etc/systemd/system/apache2.service.d/older.conf"
    put(host, drop_in, "[Service]\n")
    put(host, older, "[Service]\n", EARLIER_S)
    host.units["apache2.service"] = {
        "ActiveEnterTimestamp": f"@{EARLIER_S}",
        "InactiveEnterTimestamp": f"@{LATER_S}",
        "DropInPaths": f"{older} {drop_in}",
    }
    found = origin(host, thing("units", "apache2.service", "active", None))
    assert found.when == "2025-11-24T16:10:00Z" and found.owner == ""
    assert found.told == (f"{drop_in} changed 2025-11-24 16:10:00 UTC, owner root",)
    row = DriftRow(domain="units", key="apache2.service", kind="gone", when=found.when)
    assert whose(row) == "since 2025-11-24 16:10:00 UTC"
    started = thing("units", "apache2.service", None, "active")
    assert origin(host, started).when == "2025-11-24T13:13:20Z"


def test_a_unit_of_which_systemd_kept_nothing_is_told_nothing(host: Host) -> None:
    host.units["gone.service"] = {"InactiveEnterTimestamp": "", "FragmentPath": ""}
    assert origin(host, thing("units", "gone.service", "active", None)) == Origin()


def test_a_link_that_starts_or_masks_a_unit_is_told_with_its_owner(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "/etc/systemd/system/multi-user.target.wants/new.service"
    host.put(link, FileState(kind="symlink", target="/lib/systemd/system/new.service"))
    monkeypatch.setattr(host, "changed_ns", lambda path: LATER_S * 10**9)
    (told,) = origin(host, thing("units", "new.service", None, "active")).told
    assert told.startswith(f"{link} changed ") and told.endswith("owner root")
    put(host, "/run/systemd/system/new.service", "")
    masked = origin(host, thing("units", f"{MASK}new.service", None, "masked"))
    assert (masked.when, masked.owner) == ("2025-11-24T16:10:00Z", "root")


def test_systemd_is_asked_once_for_all(host: Host) -> None:
    things = [
        thing("units", "a.service", "active", None),
        thing("units", "b.service", "active", None),
        thing("kernel", KEY, "0", "1"),
    ]
    origins(host, things, SINCE_S)
    assert host.asked == 1
    origins(host, [thing("firewall", "ip filter INPUT", "a", "b")], SINCE_S)
    assert host.asked == 1, "only where it can tell something"


def test_a_kernel_setting_is_told_with_the_file_that_sets_it(host: Host) -> None:
    put(host, SYSCTL, f"# mine\n{KEY} = 1\n")
    found = origin(host, thing("kernel", KEY, "0", "1"))
    assert (found.when, found.owner) == ("2025-11-24T16:10:00Z", "root")
    assert found.told == (f"{SYSCTL}:2 sets it to 1 (changed 2025-11-24 16:10:00 UTC, owner root)",)


def test_a_kernel_setting_that_no_file_makes_so_was_set_at_run_time(host: Host) -> None:
    one = thing("kernel", "net.ipv4.conf.all.log_martians", "1", "0")
    assert origin(host, one).told == ("no file sets it: changed at run time",)
    put(host, SYSCTL, "net.ipv4.conf.all.log_martians = 1\n")
    found = origin(host, one)
    assert (found.when, found.owner) == ("", "")
    assert found.told[0].startswith(f"{SYSCTL}:1 sets it to 1 ")
    assert found.told[1:] == ("that it is 0 was set at run time",)


def test_the_file_behind_a_link_is_the_one_that_changed(host: Host) -> None:
    put(host, "/etc/sysctl.conf", f"{KEY} = 1\n")
    if host.state("/etc/sysctl.d/99-sysctl.conf") is None:
        link = FileState(kind="symlink", target="../sysctl.conf")
        host.put("/etc/sysctl.d/99-sysctl.conf", link)
    found = origin(host, thing("kernel", KEY, "0", "1"))
    assert found.when == "2025-11-24T16:10:00Z"
    assert found.told[0].startswith("/etc/sysctl.d/99-sysctl.conf:1 sets it to 1 (changed 2025")


def test_where_the_host_was_started_since_the_run_time_is_not_blamed(host: Host) -> None:
    host.units["systemd-sysctl.service"] = {"ActiveEnterTimestamp": f"@{LATER_S - 60}"}
    one = thing("kernel", "net.ipv4.conf.all.log_martians", "1", "0")
    assert origin(host, one).told == ("no file sets it",)
    put(host, SYSCTL, "net.ipv4.conf.all.log_martians = 1\n")
    assert len(origin(host, one).told) == 1, "the file came after the start"
    put(host, SYSCTL, "net.ipv4.conf.all.log_martians = 1\n", LATER_S - 120)
    assert origin(host, one).told[1:] == ("that it is 0 was set at run time",)


def test_of_a_chain_it_is_said_that_nothing_is_kept(host: Host) -> None:
    found = origin(host, thing("firewall", "ip filter INPUT", "policy DROP", "policy ACCEPT"))
    assert found.when == found.owner == ""
    assert "nothing on a host keeps" in found.told[0]


HISTORY = """
Start-Date: {start}
Commandline: apt-get install -y cups
Requested-By: alice (1000)
Install: libcups2:amd64 (2.4.2-4, automatic)
Upgrade: cups:amd64 (2.4.2-3, 2.4.2-4)
End-Date: {end}

Start-Date: 2020-01-01  10:00:00
Commandline: /usr/bin/unattended-upgrade
Upgrade: cups:amd64 (2.4.2-2, 2.4.2-3), bash:amd64 (5.1, 5.2)
End-Date: 2020-01-01  10:00:09

Start-Date: 2020-02-01  10:00:00
Remove: cups:amd64 (2.4.2-3)
"""


def test_a_package_is_told_with_dpkgs_deed_and_who_had_apt_do_it(host: Host) -> None:
    def stamp(at_s: int, gap: str) -> str:
        return time.strftime(f"%Y-%m-%d{gap}%H:%M:%S", time.localtime(at_s))

    put(host, "/var/log/apt/history.log", HISTORY.format(
        start=stamp(LATER_S, "  "), end=stamp(LATER_S + 5, "  ")
    ))  # fmt: skip
    put(host, "/var/log/dpkg.log", f"{stamp(LATER_S + 2, ' ')} upgrade cups:amd64 2.4.2-3 2.4.2-4\n"
        f"{stamp(LATER_S + 90, ' ')} remove bash:amd64 5.2 <none>\n")  # fmt: skip
    found = origin(host, thing("packages", "cups", "2.4.2-3;manual", "2.4.2-4;manual"))
    assert found.explained == "upgrade of cups 2.4.2-3 -> 2.4.2-4"
    assert found.told == ("by `apt-get install -y cups`, requested by alice",)
    by_dpkg = origin(host, thing("packages", "bash", "5.2;manual", None))
    assert by_dpkg.explained == "remove of bash 5.2" and by_dpkg.told == ()
    marked = origin(host, thing("packages", "cups", "2.4.2-4;manual", "2.4.2-4;auto"))
    assert marked == Origin(), "neither log tells of marks"


def test_apts_history_of_before_the_rotation_is_read_too(host: Host) -> None:
    old = HISTORY.format(start="2020-03-01  10:00:00", end="2020-03-01  10:00:05")
    put(host, "/var/log/apt/history.log.1.gz", "")
    host.files.real("/var/log/apt/history.log.1.gz").write_bytes(gzip.compress(old.encode()))
    assert [run.command for run in runs(host)] == [
        "apt-get install -y cups", "/usr/bin/unattended-upgrade",
    ]  # fmt: skip
    put(host, "/var/log/apt/history.log.1.gz", "no archive")
    assert runs(host) == []
    (_, upgrade) = parse_history(old)
    assert str(upgrade) == "by `/usr/bin/unattended-upgrade`"
    assert upgrade.parts == {
        Part("upgrade", "cups", "2.4.2-2", "2.4.2-3"), Part("upgrade", "bash", "5.1", "5.2"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "versions", "deed", "is_it"),
    [
        ("Install", "1", "install thing:all <none> 1", True),
        ("Install", "1, automatic", "install thing:all <none> 1", True),
        ("Install", "1", "upgrade thing:all 1 2.0", False),  # a dpkg -i right after it
        ("Upgrade", "1, 2.0", "upgrade thing:all 1 2.0", True),
        ("Upgrade", "1, 2.0", "upgrade thing:all 2.0 3", False),
        ("Downgrade", "2.0, 1", "upgrade thing:all 2.0 1", True),
        ("Reinstall", "1", "upgrade thing:all 1 1", True),
        ("Remove", "1", "remove thing:all 1 <none>", True),
        ("Remove", "1", "purge thing:all 1 <none>", False),
        ("Purge", "1", "purge thing:all 1 <none>", True),
        ("Purge", "", "purge thing:all 1 <none>", True),
        ("Install", "1", "remove thing:all 1 <none>", False),
    ],
)
def test_apt_is_named_only_for_what_its_history_tells(
    host: Host, word: str, versions: str, deed: str, is_it: bool
) -> None:
    start, line = (
        time.strftime(f"%Y-%m-%d{gap}%H:%M:%S", time.localtime(LATER_S)) for gap in ("  ", " ")
    )
    put(host, "/var/log/apt/history.log",
        f"Start-Date: {start}\nCommandline: apt-get …\n{word}: thing:all ({versions})\n"
        f"End-Date: {start}\n")  # fmt: skip
    put(host, "/var/log/dpkg.log", f"{line} {deed}\n")
    found = origin(host, thing("packages", "thing", "0;manual", "9;manual"))
    assert found.explained and bool(found.told) is is_it


def test_what_a_mount_covers_is_not_simply_gone(host: Host) -> None:
    path = "/srv/site/conf"
    record = TransactionRecord(
        id="t", kind="apply", steps=("s",), title="s", status="committed", started="", user="u",
        roots=(Root(path, content=True),), mounted=(),
    )  # fmt: skip
    gone = Drifted(
        domain="files", key=path, kind="gone", before=FileItem(FileState(kind="file")), now=None,
        standing=(Standing(record, {}),),
    )  # fmt: skip
    assert origin(host, gone).told == ()
    mount(host, "/srv/site")
    why = "something was mounted on /srv/site since; unmount it first"
    assert origin(host, gone).told == (f"It need not be gone: {why}",)
