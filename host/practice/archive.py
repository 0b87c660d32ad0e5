"""The pretend packages: what lies in them and what they bring along."""

from __future__ import annotations

import msgspec

from host.practice.machine import Machine, Unit


class Archived(msgspec.Struct, frozen=True):
    """`owns` are the files and directories a purge removes; `modules` of Apache are enabled."""

    version: str
    depends: tuple[str, ...] = ()
    files: dict[str, str] = {}
    owns: tuple[str, ...] = ()
    unit: str = ""
    description: str = ""
    process: str = ""
    modules: tuple[str, ...] = ()


_UFW_RULES = """\
*filter
:{prefix}-user-input - [0:0]
:{prefix}-user-output - [0:0]
:{prefix}-user-forward - [0:0]
### RULES ###

### END RULES ###
COMMIT
"""

_UFW_SYSCTL = """\
# Uncomment this to allow this host to route packets between interfaces
#net/ipv4/ip_forward=1

# Disable ICMP redirects. ICMP redirects are rarely used but can be used in
# MITM (man-in-the-middle) attacks.
net/ipv4/conf/all/accept_redirects=0
net/ipv4/conf/default/accept_redirects=0
net/ipv6/conf/all/accept_redirects=0
net/ipv6/conf/default/accept_redirects=0

# Ignore bogus ICMP errors
net/ipv4/icmp_echo_ignore_broadcasts=1
net/ipv4/icmp_ignore_bogus_error_responses=1

# Don't log Martian Packets (impossible addresses)
# packets
net/ipv4/conf/all/log_martians=0
net/ipv4/conf/default/log_martians=0
"""

_UFW_DEFAULTS = """\
# /etc/default/ufw
IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
MANAGE_BUILTINS=no
IPT_SYSCTL=/etc/ufw/sysctl.conf
IPT_MODULES=""
"""

_JAIL_CONF = """\
[DEFAULT]
ignoreself = true
bantime = 10m
findtime = 10m
maxretry = 5
backend = auto
banaction = iptables-multiport
enabled = false

[sshd]
port = ssh
logpath = /var/log/auth.log

[apache-auth]
port = http,https
logpath = /var/log/apache2/error.log

[mysqld-auth]
port = 3306
logpath = /var/log/daemon.log
"""

_SECURITY2 = """\
<IfModule security2_module>
\tIncludeOptional /etc/modsecurity/*.conf
\tIncludeOptional /usr/share/modsecurity-crs/*.load
</IfModule>
"""

_MODSECURITY = """\
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
"""

ARCHIVE: dict[str, Archived] = {
    "iptables": Archived("1.8.9-2", owns=("/etc/iptables",)),
    "nftables": Archived("1.0.6-2+deb12u2", files={"/etc/nftables.conf": "flush ruleset\n"},
                         owns=("/etc/nftables.conf",), unit="nftables.service",
                         description="nftables"),
    "libapache2-mod-security2": Archived(
        "2.9.7-1+b1", (),
        {
            "/etc/apache2/mods-available/security2.load":
                "LoadModule security2_module /usr/lib/apache2/modules/mod_security2.so\n",
            "/etc/apache2/mods-available/security2.conf": _SECURITY2,
            "/etc/modsecurity/modsecurity.conf-recommended": _MODSECURITY,
        },
        (
            "/etc/apache2/mods-available/security2.load",
            "/etc/apache2/mods-available/security2.conf",
            "/etc/apache2/mods-enabled/security2.load",
            "/etc/apache2/mods-enabled/security2.conf",
            "/etc/modsecurity",
        ),
        modules=("security2",),
    ),
    "modsecurity-crs": Archived(
        "3.3.4-1", (),
        {
            "/usr/share/modsecurity-crs/owasp-crs.load":
                "IncludeOptional /usr/share/modsecurity-crs/rules/*.conf\n",
            "/usr/share/modsecurity-crs/rules/REQUEST-941-APPLICATION-ATTACK-XSS.conf":
                'SecAction "id:941010,phase:1,pass,nolog"\n',
        },
        ("/usr/share/modsecurity-crs",),
    ),
    "python3-systemd": Archived("235-1+b2"),
    "ufw": Archived(
        "0.36.2-1", ("iptables",),
        {
            "/etc/default/ufw": _UFW_DEFAULTS,
            "/etc/ufw/ufw.conf": "# /etc/ufw/ufw.conf\nENABLED=no\nLOGLEVEL=low\n",
            "/etc/ufw/user.rules": _UFW_RULES.format(prefix="ufw"),
            "/etc/ufw/user6.rules": _UFW_RULES.format(prefix="ufw6"),
            "/etc/ufw/sysctl.conf": _UFW_SYSCTL,
        },
        ("/etc/default/ufw", "/etc/ufw"), "ufw.service", "Uncomplicated firewall",
    ),
    "fail2ban": Archived(
        "1.0.2-2", (),
        {
            "/etc/fail2ban/jail.conf": _JAIL_CONF,
            "/etc/fail2ban/fail2ban.conf": "[DEFAULT]\nloglevel = INFO\n",
            "/etc/fail2ban/jail.d/defaults-debian.conf": "[sshd]\nenabled = true\n",
        },
        ("/etc/fail2ban",), "fail2ban.service", "Fail2Ban Service", "fail2ban-server",
    ),
}  # fmt: skip

ENABLED_ON_INSTALL = ("ufw.service", "fail2ban.service")


def unpack(machine: Machine, name: str) -> None:
    """Lay a package's files, and start its unit as Debian does."""
    package = ARCHIVE[name]
    for path, text in package.files.items():
        machine.write(path, text, 0o640 if path.endswith(".rules") else 0o644)
    for module in package.modules:
        for ending in ("load", "conf"):
            file = f"{module}.{ending}"
            machine.link(f"/etc/apache2/mods-enabled/{file}", f"../mods-available/{file}")
    if not package.unit:
        return
    machine.memory.units[package.unit] = Unit(
        package.description, package=name, process=package.process, loads=bool(package.process)
    )
    if package.unit in ENABLED_ON_INSTALL:
        machine.link(
            f"/etc/systemd/system/multi-user.target.wants/{package.unit}",
            f"/lib/systemd/system/{package.unit}",
        )
        machine.start(package.unit)
