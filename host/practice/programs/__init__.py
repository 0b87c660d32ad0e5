"""The pretend programs: each computes its answer from the practice host's files and memory."""

from __future__ import annotations

from typing import cast

from host.practice.programs import (
    apache,
    fail2ban,
    firewall,
    kernel,
    packages,
    php,
    ssh,
    systemd,
    tools,
)
from host.practice.programs.answer import Answer, Program

PROGRAMS: dict[str, Program] = {
    "a2disconf": cast(Program, apache.a2tool("conf", False)),
    "a2dismod": cast(Program, apache.a2tool("module", False)),
    "a2dissite": cast(Program, apache.a2tool("site", False)),
    "a2enconf": cast(Program, apache.a2tool("conf", True)),
    "a2enmod": cast(Program, apache.a2tool("module", True)),
    "a2ensite": cast(Program, apache.a2tool("site", True)),
    "apache2ctl": apache.apache2ctl,
    "apt-get": packages.apt_get,
    "apt-mark": packages.apt_mark,
    "chmod": tools.chmod,
    "chown": tools.chown,
    "cp": tools.cp,
    "dpkg": packages.dpkg,
    "dpkg-query": packages.dpkg_query,
    "fail2ban-client": fail2ban.client,
    "find": tools.find,
    "getent": tools.getent,
    "grep": tools.grep,
    "ip6tables": cast(Program, firewall.iptables(True)),
    "iptables": cast(Program, firewall.iptables(False)),
    "loginctl": systemd.loginctl,
    "lslocks": tools.nothing,
    "php": php.php,
    "php8.2": php.php,
    "runuser": tools.runuser,
    "sshd": ssh.sshd,
    "stat": tools.stat,
    "sudo": tools.sudo,
    "sysctl": kernel.sysctl,
    "systemctl": systemd.systemctl,
    "tail": tools.tail,
    "test": tools.test,
    "ufw": firewall.ufw,
}

COMES_WITH = {
    "fail2ban-client": "fail2ban",
    "ip6tables": "iptables",
    "iptables": "iptables",
    "ufw": "ufw",
}
"""Programs that are there only while their package is installed."""

__all__ = ["COMES_WITH", "PROGRAMS", "Answer", "Program"]
