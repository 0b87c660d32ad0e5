"""systemd's units: parsed from what bookworm and trixie really said, and read from unit files."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import services, unit_files
from host.base import Completed, HostError, Service
from host.local import LocalHost

RECORDED = Path(__file__).parent / "recorded"


def recorded(suite: str, name: str) -> str:
    return (RECORDED / suite / "host" / name).read_text()


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_listed_and_shown_units(suite: str) -> None:
    listed = services.parse_list(recorded(suite, "list-units.txt"))
    shown = services.parse_show(recorded(suite, "show.txt"))
    assert listed["ssh.service"] == Service(
        unit="ssh.service",
        description="OpenBSD Secure Shell server",
        active="active",
        sub="running",
        enabled="",
    )
    assert "home.mount" not in listed  # mentioned by others, but not there
    ssh = shown["ssh.service"]
    assert (ssh.active, ssh.sub, ssh.enabled) == ("active", "running", "enabled")
    assert ssh.main_pid > 1 and not ssh.need_daemon_reload
    assert shown["cups.socket"].triggers == ("cups.service",)
    assert set(shown["cups.service"].triggered_by) == {"cups.path", "cups.socket"}
    assert shown["apt-daily.timer"].triggers == ("apt-daily.service",)


def test_every_unit_is_told_once_from_the_best_source() -> None:
    listed = services.parse_list(
        "a.service loaded active   running A daemon\n"
        "b.service loaded inactive dead    Told by its trigger\n"
        "c.service masked inactive dead    c.service\n"
        "d.service not-found inactive dead d.service\n"
        "e.service loaded failed   failed\n"
    )
    shown = services.parse_show(
        "Id=a.service\nDescription=A = B\nActiveState=active\nSubState=running\nMainPID=7\n"
        "UnitFileState=enabled\nNeedDaemonReload=yes\nLoadState=loaded\n\n"
        "Id=b.timer\nTriggers=b.service\nLoadState=loaded\nActiveState=active\nSubState=waiting\n\n"
        "Id=m.automount\nTriggers=m.mount\nLoadState=loaded\n\n"
        "Id=gone.service\nLoadState=not-found\n"
    )
    files = {
        "a.service": "enabled", "b.service": "static", "c.service": "masked",
        "aa.service": "alias", "f.service": "disabled", "m.mount": "static",
    }  # fmt: skip
    units = {unit.unit: unit for unit in services.merge(listed, shown, files)}
    assert list(units) == [
        "a.service", "b.service", "b.timer", "c.service", "e.service", "f.service", "m.mount",
    ]  # fmt: skip
    assert units["a.service"] == Service(
        unit="a.service", description="A = B", active="active", sub="running",
        enabled="enabled", main_pid=7, need_daemon_reload=True,
    )  # fmt: skip
    assert units["b.service"].triggered_by == ("b.timer",)
    assert units["b.service"].enabled == "static"
    assert units["c.service"].enabled == "masked"
    assert (units["e.service"].active, units["e.service"].description) == ("failed", "")
    assert (units["f.service"].active, units["f.service"].enabled) == ("inactive", "disabled")
    assert units["m.mount"].triggered_by == ("m.automount",)


def test_sockets_that_systemd_holds() -> None:
    listen = services.parse_listen(recorded("bookworm", "show-listen.txt"))
    assert listen["[::]:3306 (Stream)"] == "mariadb.socket"
    assert "route 1361 (Netlink)" not in listen  # an inactive socket unit holds nothing


def unit(root: Path, path: str, text: str = "[Service]\nExecStart=/bin/true\n") -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def link(root: Path, path: str, target: str) -> None:
    (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / path.lstrip("/")).symlink_to(target)


def test_enablement_as_systemd_says_it(tmp_path: Path) -> None:
    lib, etc, run = "/usr/lib/systemd/system", "/etc/systemd/system", "/run/systemd/system"
    wanted = "[Install]\nWantedBy=multi-user.target\n"
    unit(tmp_path, f"{lib}/static.service")
    unit(tmp_path, f"{lib}/disabled.service", f"[Install]\n# off\nWantedBy=\n{wanted}")
    unit(tmp_path, f"{lib}/emptied.service", "[Install]\nWantedBy=\n")
    unit(tmp_path, f"{lib}/enabled.service", wanted)
    link(tmp_path, f"{etc}/multi-user.target.wants/enabled.service", f"{lib}/enabled.service")
    unit(tmp_path, f"{lib}/aliased.service", "[Install]\nAlias=other.service\n")
    link(tmp_path, f"{etc}/other.service", f"{lib}/aliased.service")
    link(tmp_path, f"{lib}/vendor.service", "static.service")
    unit(tmp_path, f"{lib}/now.service", wanted)
    link(tmp_path, f"{run}/multi-user.target.wants/now.service", f"{lib}/now.service")
    unit(tmp_path, f"{lib}/pulled.service", wanted)
    link(tmp_path, f"{lib}/multi-user.target.wants/pulled.service", "../pulled.service")
    unit(tmp_path, f"{lib}/masked.service", wanted)
    link(tmp_path, f"{etc}/masked.service", "/dev/null")
    unit(tmp_path, f"{lib}/asleep.service")
    link(tmp_path, f"{run}/asleep.service", "/dev/null")
    unit(tmp_path, f"{etc}/empty.service", "")
    link(tmp_path, f"{etc}/linked.service", "/opt/linked.service")
    unit(tmp_path, f"{etc}/also.service", "[Install]\nAlso=enabled.service\n")
    unit(tmp_path, f"{etc}/dropin.service")
    unit(tmp_path, f"{etc}/dropin.service.d/x.conf", wanted)
    unit(tmp_path, "/run/systemd/generator/made.service")
    unit(tmp_path, "/run/systemd/transient/run-1.service")
    unit(tmp_path, f"{lib}/template@.service", wanted)
    unit(tmp_path, f"{lib}/other.target")
    assert unit_files.read(services.KINDS, str(tmp_path)) == {
        "static.service": "static",
        "disabled.service": "disabled",
        "emptied.service": "static",
        "enabled.service": "enabled",
        "aliased.service": "enabled",
        "other.service": "alias",
        "vendor.service": "alias",
        "now.service": "enabled-runtime",
        "pulled.service": "disabled",
        "masked.service": "masked",
        "asleep.service": "masked-runtime",
        "empty.service": "masked",
        "linked.service": "linked",
        "also.service": "indirect",
        "dropin.service": "disabled",
        "made.service": "generated",
        "run-1.service": "transient",
    }


class Scripted(LocalHost):
    """The local host, with programs that answer what the test says."""

    def __init__(self, answers: dict[str, tuple[int, str, str]]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[str] = []

    def run(self, argv, **_):  # type: ignore[no-untyped-def]  # every call of the base fits
        self.asked.append(argv[1])
        code, out, err = self.answers[argv[1]]
        return Completed(tuple(argv), code, out, err, 0.0)


def test_a_dead_systemd_is_one_sentence() -> None:
    said = "System has not been booted with systemd as init system (PID 1). Can't operate.\nmore"
    host = Scripted({"list-units": (1, "", said)})
    with pytest.raises(HostError, match="systemd does not answer on this host: System has not"):
        host.services()


def test_watching_asks_for_everything_only_after_a_change() -> None:
    listed = "a.service loaded active running A\n"
    shown = "Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
    host = Scripted({"list-units": (0, listed, ""), "show": (0, shown, "")})
    watch = services.Watch(host)
    first = watch.read()
    assert watch.read() is first and host.asked.count("show") == 1
    host.answers["list-units"] = (0, listed + "b.service loaded failed failed B\n", "")
    assert {unit.unit: unit.active for unit in watch.read()}["b.service"] == "failed"
    assert host.asked.count("show") == 2
    assert services.Watch(host, full_every_s=-1).read() is not first
