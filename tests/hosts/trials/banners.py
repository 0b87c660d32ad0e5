"""What is shown before and after a login."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _banners(host: LabHost) -> Answers:
    shown = {path: host.out("cat", path) for path in ("/etc/issue", "/etc/issue.net", "/etc/motd")}
    host.ssh("true")
    after_login = host.run("cat", "/run/motd.dynamic", check=False).stdout
    whole = "\n".join((*shown.values(), after_login))
    kernel = host.out("uname", "-r")
    return [
        ("no banner names Debian", "debian" not in whole.lower()),
        ("no banner names the kernel", kernel not in whole),
        ("the warning stands before a login", "Authorized access only" in shown["/etc/issue.net"]),
        ("run-parts runs no teller", host.out("run-parts", "--test", "/etc/update-motd.d") == ""),
    ]


TRIALS = (Trial(step="files.banners", holds=_banners),)
