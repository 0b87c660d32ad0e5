"""The blank state of the practice host: a small Debian 12 web server as an installer leaves it."""

from __future__ import annotations

from host.practice.machine import Machine, Package, Unit

_PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
mysql:x:101:102:MySQL Server,,,:/nonexistent:/bin/false
admin:x:1000:1000:Administrator:/home/admin:/bin/bash
"""
_GROUP = """\
root:x:0:
daemon:x:1:
sudo:x:27:admin
www-data:x:33:
shadow:x:42:
mysql:x:102:
admin:x:1000:
nogroup:x:65534:
"""
_SHADOW = """\
root:*:19700:0:99999:7:::
daemon:*:19700:0:99999:7:::
www-data:*:19700:0:99999:7:::
sshd:!:19700::::::
mysql:!:19700::::::
admin:$y$j9T$practice$practice:19700:0:99999:7:::
"""
_KEY = (
    "ssh-ed25519"
    " AAAAC3NzaC1lZDI1NTE5AAAAIKy2lCXZgVx5bS0wQ0Vn2Q9Yd0c0mWm5b0m1sJb0yq3T admin@laptop\n"
)
_SSHD = """\
# This is the sshd server system-wide configuration file.

Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
#PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem\tsftp\t/usr/lib/openssh/sftp-server
"""
_APACHE = """\
# This is the main Apache server configuration file.
PidFile ${APACHE_PID_FILE}
Timeout 300
KeepAlive On
User ${APACHE_RUN_USER}
Group ${APACHE_RUN_GROUP}
HostnameLookups Off
ErrorLog ${APACHE_LOG_DIR}/error.log
LogLevel warn
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
Include ports.conf
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>
<Directory /var/www/>
    Options Indexes FollowSymLinks
    AllowOverride None
    Require all granted
</Directory>
IncludeOptional conf-enabled/*.conf
IncludeOptional sites-enabled/*.conf
"""
_SECURITY = """\
# Changing the following options will not really affect the security of the
# server, but might make attacks slightly more difficult in some cases.
#ServerTokens Minimal
ServerTokens OS
#ServerTokens Full

#ServerSignature Off
ServerSignature On

TraceEnable Off
"""
_SITE = """\
<VirtualHost *:80>
    ServerAdmin webmaster@localhost
    DocumentRoot /var/www/html
    ErrorLog ${APACHE_LOG_DIR}/error.log
</VirtualHost>
"""
_MODULE_CONF = {
    "status": "<Location /server-status>\n    SetHandler server-status\n    Require local\n"
    "</Location>\nExtendedStatus On\n",
    "autoindex": "IndexOptions FancyIndexing VersionSort HTMLTable\n",
    "dir": "DirectoryIndex index.html index.php\n",
    "alias": 'Alias /icons/ "/usr/share/apache2/icons/"\n',
}
_ENABLED = (
    "access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user"
    " autoindex deflate dir env filter mime mpm_prefork negotiation php8.2 reqtimeout setenvif"
    " status"
).split()
_AVAILABLE = [*_ENABLED, "headers", "rewrite", "userdir", "info", "proxy", "cgi", "dav", "ssl"]
_PHP = """\
[PHP]
engine = On
short_open_tag = Off
disable_functions =
zend.exception_ignore_args = On
expose_php = {expose}
max_execution_time = 30
memory_limit = 128M
display_errors = Off
display_startup_errors = Off
log_errors = On
post_max_size = 8M
allow_url_fopen = On
allow_url_include = Off
enable_dl = Off

[Session]
session.use_strict_mode = 0
session.cookie_httponly =
session.cookie_samesite =
session.gc_maxlifetime = 1440
"""

_SYSCTLS = {
    "dev/tty/ldisc_autoload": "1",
    "fs/protected_fifos": "1",
    "fs/protected_hardlinks": "1",
    "fs/protected_regular": "2",
    "fs/protected_symlinks": "1",
    "fs/suid_dumpable": "0",
    "kernel/core_uses_pid": "0",
    "kernel/dmesg_restrict": "1",
    "kernel/kptr_restrict": "0",
    "kernel/perf_event_paranoid": "3",
    "kernel/randomize_va_space": "2",
    "kernel/sysrq": "438",
    "kernel/unprivileged_bpf_disabled": "2",
    "kernel/yama/ptrace_scope": "0",
    "net/core/bpf_jit_harden": "0",
    "net/ipv4/icmp_echo_ignore_broadcasts": "1",
    "net/ipv4/icmp_ignore_bogus_error_responses": "1",
    "net/ipv4/ip_forward": "0",
    "net/ipv4/tcp_rfc1337": "0",
    "net/ipv4/tcp_syncookies": "1",
    "net/ipv6/conf/all/forwarding": "0",
    "vm/mmap_min_addr": "65536",
}
_PER_INTERFACE = {
    "accept_redirects": "1",
    "accept_source_route": "1",
    "log_martians": "0",
    "rp_filter": "0",
    "secure_redirects": "1",
    "send_redirects": "1",
}
_PER_INTERFACE6 = {"accept_ra": "1", "accept_redirects": "1", "accept_source_route": "0"}

_PACKAGES = {
    "apache2": "2.4.62-1~deb12u2",
    "cups-daemon": "2.4.2-3+deb12u8",
    "libapache2-mod-php8.2": "8.2.29-1~deb12u1",
    "mariadb-server": "1:10.11.11-0+deb12u1",
    "openssh-server": "1:9.2p1-2+deb12u6",
    "php8.2-cli": "8.2.29-1~deb12u1",
    "rsyslog": "8.2302.0-1+deb12u1",
    "sudo": "1.9.13p3-1+deb12u2",
}

_APPLICATION = {
    "index.php": "<?php // the application's front door\n",
    "controller": "#!/bin/sh\nexec php console.php\n",
    "idoit-rights.sh": "#!/bin/sh\n",
    "src/config.inc.php": "<?php\n$g_db_system = ['host' => 'localhost'];\n",
    "src/bootstrap.php": "<?php\n",
    "log/system.log": "started\n",
    "temp/cache.bin": "cached\n",
    "upload/files/plan.pdf": "%PDF-1.4\n",
    "imports/.keep": "",
}


def furnish(machine: Machine) -> None:
    """Lay the files, install the packages and start the services."""
    _accounts(machine)
    _configuration(machine)
    _apache(machine)
    _php(machine)
    _application(machine)
    _kernel(machine)
    for name, version in _PACKAGES.items():
        machine.memory.packages[name] = Package(version)
    _units(machine)
    machine.save()


def _accounts(machine: Machine) -> None:
    machine.write("/etc/passwd", _PASSWD)
    machine.write("/etc/group", _GROUP)
    machine.write("/etc/shadow", _SHADOW, 0o640, gid=42)
    machine.directory("/home/admin", 0o700, 1000, 1000)
    machine.directory("/home/admin/.ssh", 0o700, 1000, 1000)
    machine.write("/home/admin/.ssh/authorized_keys", _KEY, 0o600, 1000, 1000)
    for shell in ("/bin/bash", "/usr/sbin/nologin", "/bin/false"):
        machine.write(shell, "", 0o755)
    machine.link("/var/run", "/run")
    machine.write("/var/lib/apt/extended_states", "")
    for directory in ("/root", "/tmp", "/run", "/var/log/apache2", "/var/lib/apt"):
        machine.directory(directory)


def _configuration(machine: Machine) -> None:
    machine.write("/etc/ssh/sshd_config", _SSHD)
    machine.directory("/etc/ssh/sshd_config.d")
    machine.write("/etc/default/ssh", "SSHD_OPTS=\n")
    machine.write("/etc/hostname", "practice\n")
    machine.write("/etc/debian_version", "12.11\n")
    machine.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    machine.write("/etc/sudoers.d/README", "# Local sudo rules go here\n", 0o440)
    machine.write("/etc/sysctl.conf", "# /etc/sysctl.conf\n")
    machine.link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf")
    machine.write("/usr/lib/sysctl.d/99-protect-links.conf", "fs.protected_fifos = 1\n"
                  "fs.protected_hardlinks = 1\nfs.protected_regular = 2\n"
                  "fs.protected_symlinks = 1\n")  # fmt: skip
    machine.write("/var/log/auth.log", "")
    machine.write("/var/log/apache2/error.log", "")
    machine.write("/var/log/syslog", "")


def _apache(machine: Machine) -> None:
    folder = "/etc/apache2"
    machine.write(f"{folder}/apache2.conf", _APACHE)
    machine.write(f"{folder}/ports.conf", "Listen 80\n")
    machine.write(f"{folder}/envvars", "export APACHE_RUN_USER=www-data\n")
    machine.write(f"{folder}/conf-available/security.conf", _SECURITY)
    machine.link(f"{folder}/conf-enabled/security.conf", "../conf-available/security.conf")
    machine.write(f"{folder}/sites-available/000-default.conf", _SITE)
    machine.link(f"{folder}/sites-enabled/000-default.conf", "../sites-available/000-default.conf")
    for name in _AVAILABLE:
        identifier = "php" if name.startswith("php") else name
        library = "libphp8.2.so" if name.startswith("php") else f"mod_{name}.so"
        machine.write(
            f"{folder}/mods-available/{name}.load",
            f"LoadModule {identifier}_module /usr/lib/apache2/modules/{library}\n",
        )
        if name in _MODULE_CONF:
            machine.write(
                f"{folder}/mods-available/{name}.conf",
                f"<IfModule mod_{name}.c>\n{_MODULE_CONF[name]}</IfModule>\n",
            )
    for name in _ENABLED:
        endings = ["load", "conf"] if name in _MODULE_CONF else ["load"]
        for ending in endings:
            machine.link(
                f"{folder}/mods-enabled/{name}.{ending}", f"../mods-available/{name}.{ending}"
            )
    for kind in ("module", "conf", "site"):
        machine.directory(f"/var/lib/apache2/{kind}/enabled_by_admin")
        machine.directory(f"/var/lib/apache2/{kind}/disabled_by_admin")


def _php(machine: Machine) -> None:
    for sapi, expose in (("apache2", "Off"), ("cli", "On")):
        machine.write(f"/etc/php/8.2/{sapi}/php.ini", _PHP.format(expose=expose))
        machine.write("/etc/php/8.2/mods-available/opcache.ini", "zend_extension=opcache.so\n")
        machine.link(
            f"/etc/php/8.2/{sapi}/conf.d/10-opcache.ini", "/etc/php/8.2/mods-available/opcache.ini"
        )


def _application(machine: Machine) -> None:
    machine.directory("/var/www/html")
    machine.write("/var/www/html/index.html", "<html><body>It works</body></html>\n")
    root = "/var/www/html/i-doit"
    machine.directory(root, 0o755, 33, 33)
    for path, text in _APPLICATION.items():
        above = root
        for part in path.split("/")[:-1]:
            above = f"{above}/{part}"
            machine.directory(above, 0o755, 33, 33)
        machine.write(f"{root}/{path}", text, 0o644, 33, 33)


def _kernel(machine: Machine) -> None:
    for path, value in _SYSCTLS.items():
        machine.write(f"/proc/sys/{path}", f"{value}\n")
    for interface in ("all", "default"):
        for name, value in _PER_INTERFACE.items():
            machine.write(f"/proc/sys/net/ipv4/conf/{interface}/{name}", f"{value}\n")
        for name, value in _PER_INTERFACE6.items():
            machine.write(f"/proc/sys/net/ipv6/conf/{interface}/{name}", f"{value}\n")
    machine.write("/proc/self/mountinfo", "20 1 0:4 / /proc rw,nosuid - proc proc rw\n")
    machine.write("/proc/net/if_inet6", "")


def _units(machine: Machine) -> None:
    memory = machine.memory
    memory.units["ssh.service"] = Unit(
        "OpenBSD Secure Shell server", package="openssh-server", process="sshd", loads=True,
        listens=[("tcp", "0.0.0.0", 22), ("tcp", "::", 22)],
    )  # fmt: skip
    memory.units["apache2.service"] = Unit(
        "The Apache HTTP Server", package="apache2", process="apache2", loads=True,
        listens=[("tcp", "::", 80)],
    )  # fmt: skip
    memory.units["mariadb.service"] = Unit(
        "MariaDB database server", package="mariadb-server", process="mariadbd",
        listens=[("tcp", "127.0.0.1", 3306)],
    )  # fmt: skip
    memory.units["cups.service"] = Unit(
        "CUPS Scheduler", package="cups-daemon", process="cupsd",
        listens=[("tcp", "127.0.0.1", 631), ("tcp", "::1", 631)],
    )  # fmt: skip
    memory.units["cups.socket"] = Unit(
        "CUPS Scheduler", package="cups-daemon", triggers=["cups.service"]
    )
    memory.units["cups.path"] = Unit(
        "CUPS Scheduler", package="cups-daemon", triggers=["cups.service"]
    )
    memory.units["rsyslog.service"] = Unit(
        "System Logging Service", package="rsyslog", process="rsyslogd"
    )
    memory.units["cron.service"] = Unit("Regular background program processing", process="cron")
    for unit in list(memory.units):
        machine.link(
            f"/etc/systemd/system/multi-user.target.wants/{unit}", f"/lib/systemd/system/{unit}"
        )
        machine.start(unit)
