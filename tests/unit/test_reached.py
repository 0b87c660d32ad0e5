"""How far changes reach: which tables and which of the kernel's settings are theirs."""

from __future__ import annotations

import pytest

from snapshots.reached import both, of_change, of_keys, reaches

SET = (
    "sysctl -w net.ipv4.conf.all.log_martians=1 'kernel.printk=3 4 1 3'"
    " net/ipv4/conf/eth0.7/rp_filter=1"
)


@pytest.mark.parametrize(
    ("summary", "key", "may"),
    [
        (SET, "net.ipv4.conf.all.log_martians", True),
        (SET, "net.ipv4.conf.eth0.log_martians", True),
        (SET, "net.ipv4.conf.eth0/7.rp_filter", True),
        (SET, "net.ipv4.conf.lo.rp_filter", True),
        (SET, "kernel.printk", True),
        (SET, "net.ipv6.conf.all.log_martians", False),
        (SET, "net.ipv4.ip_forward", False),
        (SET, "mount /tmp", False),
        ("sysctl -q -w kernel.sysrq=0", "kernel.sysrq", True),
        ("sysctl -q -w kernel.sysrq=0", "vm.swappiness", False),
        ("sysctl --system", "vm.swappiness", True),
        ("sysctl -w vm.overcommit_ratio=80", "vm.overcommit_kbytes", True),
        ("sysctl -w net.ipv4.ip_forward=0", "net.ipv4.conf.all.send_redirects", True),
        ("ufw --force enable", "vm.swappiness", True),
        ("systemctl restart systemd-sysctl.service", "vm.swappiness", True),
        ("nsenter --target 7 --mount mount -o remount,noexec /tmp", "mount /tmp", True),
    ],
)
def test_which_settings_of_the_kernel_a_change_may_change(
    summary: str, key: str, may: bool
) -> None:
    assert reaches(of_change(["kernel"], summary), "kernel", key) is may


def test_what_is_put_back_reaches_as_far_as_it_is_of_one_kind() -> None:
    back = of_keys([("kernel", "net.ipv4.conf.all.rp_filter"), ("files", "/etc/a")])
    assert back == {"kernel": frozenset(["net.ipv4.conf.*.rp_filter"])}
    assert reaches(back, "kernel", "net.ipv4.conf.eth0.rp_filter")
    assert not reaches(back, "kernel", "kernel.sysrq") and not reaches(back, "firewall", "ip nat")
    assert of_keys([("kernel", "mount /tmp")]) == {"kernel": None}
    assert of_keys([("units", "a.service")]) == {}
    more = both(back, {"kernel": frozenset(["kernel.sysrq"])})
    assert more == {"kernel": frozenset(["net.ipv4.conf.*.rp_filter", "kernel.sysrq"])}
    assert both(back, {"kernel": None})["kernel"] is None
    assert both({"kernel": None}, back)["kernel"] is None
