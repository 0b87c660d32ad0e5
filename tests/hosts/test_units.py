"""What we read of systemd's units is what systemctl says, on a host where much was changed."""

from __future__ import annotations

import pytest

from host import services, unit_files
from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

UNIT = "[Service]\nExecStart=/bin/sleep 600\n"
WANTED = "[Install]\nWantedBy=multi-user.target\n"


def change_enablement(host: LabHost) -> None:
    """A unit in each state that systemctl can bring about."""
    host.write("/etc/systemd/system/also.service", f"{UNIT}[Install]\nAlso=b.timer\n")
    host.write("/etc/systemd/system/b.service", UNIT)
    host.write(
        "/etc/systemd/system/b.timer",
        "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\nAlias=bb.timer\n",
    )
    host.write("/opt/linked.service", UNIT)
    host.write("/opt/fleeting.service", UNIT + WANTED)
    host.write("/etc/systemd/system/dropin.service", UNIT)
    host.write("/etc/systemd/system/dropin.service.d/x.conf", WANTED)
    host.write("/etc/systemd/system/empty.service", "")
    host.run("systemctl", "enable", "b.timer")
    host.run("systemctl", "link", "/opt/linked.service")
    host.run("systemctl", "link", "--runtime", "/opt/fleeting.service")
    host.run("systemctl", "disable", "--now", "cups.service", "cups.socket", "cups.path")
    host.run("systemctl", "mask", "rsync.service")
    host.run("systemctl", "mask", "--runtime", "cron.service")
    host.run("systemctl", "enable", "--runtime", "apache-htcacheclean.service")
    host.run("systemd-run", "--unit", "passing", "sleep", "600")
    host.run("systemctl", "daemon-reload")


def test_enablement_is_systemctls(blank: LabHost) -> None:
    change_enablement(blank)
    said = {
        line.split()[0]: line.split()[1]
        for line in blank.out(
            "systemctl", "list-unit-files", "--no-legend", "--plain", "--full",
            f"--type={','.join(services.KINDS)}",
        ).splitlines()
        if "@." not in line.split()[0]
    }  # fmt: skip
    ours = unit_files.read(services.KINDS, root=f"/proc/{blank.leader}/root")
    assert ours == said
    assert {"enabled", "disabled", "static", "masked", "masked-runtime", "linked",
            "linked-runtime", "alias", "indirect", "transient"} <= set(said.values())  # fmt: skip


def test_units_are_systemctls(blank: LabHost) -> None:
    change_enablement(blank)
    listed = services.parse_list(blank.out(*services.LIST))
    more = [unit.unit for unit in listed.values() if services.has_more_to_tell(unit)]
    ours = services.merge(
        listed,
        services.parse_show(blank.out(*services.SHOW, *more)),
        unit_files.read(services.KINDS, root=f"/proc/{blank.leader}/root"),
    )
    everything = [f"*.{kind}" for kind in services.KINDS]
    said = services.parse_show(blank.out(*services.SHOW, *everything))
    told = {unit.unit: unit for unit in ours}
    assert "passing.service" in told and "cups.service" in told
    different = {
        name: (told.get(name), unit)
        for name, unit in said.items()
        if not name.endswith(".automount") and told.get(name) != unit
    }
    assert different == {}
