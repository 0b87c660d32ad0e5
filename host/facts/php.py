"""The PHP that answers web requests: which one Apache uses, its settings and who decides them.

The command line's php.ini says nothing about it. Each SAPI has a folder of its own
(/etc/php/8.2/apache2, /etc/php/8.2/fpm); the same version's command line, pointed at that folder,
tells what it holds (tried on bookworm and trixie), except for the few settings it fixes for
itself. What Apache's directives or a pool say comes on top.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

import msgspec

from host.base import CommandFailed, CommandMissing, Host, HostError
from host.facts.apache import APACHE, RUNNING, UNIT, Apache, changed_since
from host.facts.apache_config import Directive
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.php_ini import (
    QUESTION,
    Assignment,
    Ini,
    PoolSetting,
    parse_answer,
    parse_ini,
    parse_pools,
)

FIXED_BY_COMMAND_LINE = frozenset(
    "html_errors register_argc_argv implicit_flush output_buffering max_execution_time"
    " max_input_time".split()
)
"""Settings that php-cli fixes for itself (sapi/cli/php_cli.c, HARDCODED_INI)."""

_MODULE = re.compile(r"php(\d+\.\d+)")
_SOCKET = re.compile(r"(?:proxy:)?(?:unix:([^|]+)\|fcgi:|fcgi://([^/\"]+))")


class Override(msgspec.Struct, frozen=True):
    """A setting given by Apache's directives or by a pool.

    It wins over the ini files. `where` names the pool or virtual host; `admin` means that scripts
    and .htaccess cannot change it.
    """

    key: str
    value: str
    where: str
    origin: str
    admin: bool
    directive: Directive | None = None
    pool: PoolSetting | None = None


class WebPhp(msgspec.Struct, frozen=True):
    """One PHP that serves web requests.

    `stale` says why what it runs with may differ from the files, empty where it does not;
    `running` is false where its unit does not run. `assigned` holds what the ini files say of each
    key, in the order in which they are read: the last one counts.
    """

    version: str
    sapi: Literal["apache2", "fpm"]
    unit: str
    ini: Ini
    assigned: dict[str, tuple[Assignment, ...]]
    overrides: tuple[Override, ...]
    running: bool
    stale: str

    @property
    def folder(self) -> str:
        return f"/etc/php/{self.version}/{self.sapi}"

    @property
    def label(self) -> str:
        return f"php {self.version} {self.sapi}"

    def from_files(self, key: str) -> str | None:
        """The value that the ini files give; `None` where PHP does not know it."""
        if key in FIXED_BY_COMMAND_LINE:
            given = self.assigned.get(key, ())
            return given[-1].value if given else None
        return (self.ini.values[key] or "") if key in self.ini.values else None


def _read_web_php(host: Host, facts: Facts) -> tuple[WebPhp, ...]:
    apache: Apache | None
    try:
        apache = facts.get(APACHE)
    except FactUnavailable:
        if host.which("apache2ctl"):
            raise
        apache = None
    found = []
    if apache is not None and any(m.startswith("php") for m in apache.modules):
        versions = [m.group(1) for name in apache.enabled if (m := _MODULE.fullmatch(name))]
        if not versions:
            raise FactUnavailable(
                "Apache has PHP loaded, but not through /etc/apache2/mods-enabled, so its version"
                " and its ini files could not be told"
            )
        found.append(_mod_php(host, facts, apache, versions[-1]))
    pools = {version: _pools(host, version) for version in _fpm_versions(host)}
    for version, settings in pools.items():
        wanted = _addressed(host, apache, settings) if apache is not None else settings
        if wanted:
            found.append(_fpm(host, version, wanted))
    if not found:
        raise FactUnavailable(
            "no PHP answers web requests: Apache has neither a PHP module nor a handler that"
            " leads to PHP-FPM"
        )
    return tuple(found)


def _mod_php(host: Host, facts: Facts, apache: Apache, version: str) -> WebPhp:
    folder = f"/etc/php/{version}/apache2"
    ini = _ask(host, version, folder)
    running = facts.get(RUNNING)
    stale = running.stale
    if running.pid and not stale:
        stale = _stale(host, folder, ini, running.loaded_ns, "Apache")
    return WebPhp(
        version=version, sapi="apache2", unit=UNIT, ini=ini, assigned=_assigned(host, ini),
        overrides=tuple(_from_apache(apache)), running=bool(running.pid), stale=stale,
    )  # fmt: skip


def _fpm(host: Host, version: str, settings: list[PoolSetting]) -> WebPhp:
    folder, unit = f"/etc/php/{version}/fpm", f"php{version}-fpm.service"
    ini = _ask(host, version, folder)
    state = host.run(
        ["systemctl", "show", unit, "--timestamp=us+utc", "-p", "ActiveState,StateChangeTimestamp"],
        ok=None,
    ).stdout
    running = "ActiveState=active" in state or "ActiveState=reloading" in state
    since_ns = parse_moment(state)
    stale = ""
    if running and since_ns:
        files = [f"{folder}/php-fpm.conf", f"{folder}/pool.d", *(s.file for s in settings)]
        stale = _stale(host, folder, ini, since_ns, "PHP-FPM", files)
    elif running:
        stale = f"systemd does not tell when {unit} read its configuration"
    overrides = tuple(
        Override(s.key, s.value, f"pool {s.pool}", s.origin, "admin" in s.how, pool=s)
        for s in settings
        if s.how
    )
    return WebPhp(
        version=version, sapi="fpm", unit=unit, ini=ini, assigned=_assigned(host, ini),
        overrides=overrides, running=running, stale=stale,
    )  # fmt: skip


def parse_moment(text: str) -> int:
    """ "StateChangeTimestamp=Sat 2026-11-21 01:50:04.804702 UTC" in ns since 1970; 0 if not there.

    systemd sets it when a unit was started, and when a reload ended.
    """
    found = re.search(r"^StateChangeTimestamp=\w+ ([\d-]+ [\d:]+\.\d+) UTC$", text, re.MULTILINE)
    if not found:
        return 0
    try:
        moment = datetime.strptime(f"{found.group(1)} +0000", "%Y-%m-%d %H:%M:%S.%f %z")
    except ValueError:
        return 0
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _ask(host: Host, version: str, folder: str) -> Ini:
    """The settings that `folder` gives to PHP. Raises `FactUnavailable`."""
    environment = {"PHPRC": folder, "PHP_INI_SCAN_DIR": f"{folder}/conf.d"}
    try:
        text = host.run([f"php{version}", "-r", QUESTION], env=environment).stdout
    except CommandMissing:
        raise FactUnavailable(
            f"PHP {version} could not be asked for its settings: there is no php{version}"
            f" (package php{version}-cli)"
        ) from None
    except CommandFailed as error:
        raise FactUnavailable(
            f"PHP {version} could not be asked for its settings: {error}"
        ) from None
    answer = parse_answer(text)
    if answer is None:
        raise FactUnavailable(f"PHP {version} gave no answer about its settings in {folder}")
    return answer


def _assigned(host: Host, ini: Ini) -> dict[str, tuple[Assignment, ...]]:
    found: dict[str, list[Assignment]] = {}
    for file in ini.files:
        try:
            text = host.read_bytes(file).decode("utf-8", "replace")
        except HostError:
            continue  # the origin stays unknown; the value does not depend on it
        for assignment in parse_ini(file, text):
            found.setdefault(assignment.key, []).append(assignment)
    return {key: tuple(several) for key, several in found.items()}


def _stale(
    host: Host, folder: str, ini: Ini, when_ns: int, who: str, more: list[str] | None = None
) -> str:
    paths = [f"{folder}/conf.d", *ini.files, *(more or [])]
    changed = changed_since(host, paths, when_ns)
    return f"{changed[0]} changed after {who} read its configuration" if changed else ""


def _from_apache(apache: Apache) -> list[Override]:
    names = {host.section.origin: host.label for host in apache.hosts}
    found = []
    for directive in apache.config.named(
        "php_value", "php_flag", "php_admin_value", "php_admin_flag"
    ):
        words = directive.words
        if len(words) < 2:
            continue
        host = directive.virtual_host
        label = names.get(host.origin, "") if host else ""
        inner = directive.within[-1] if directive.within else None
        if inner is not None and inner != host:
            label = f"{label} <{inner.name} {inner.args}>".strip()
        admin = "admin" in directive.name.lower()
        found.append(
            Override(words[0], words[1], label, directive.origin, admin, directive=directive)
        )
    return found


def _fpm_versions(host: Host) -> list[str]:
    found = [path.split("/")[3] for path in host.glob("/etc/php/*/fpm/php-fpm.conf")]
    return [version for version in found if host.which(f"php-fpm{version}")]


def _pools(host: Host, version: str) -> list[PoolSetting]:
    found: list[PoolSetting] = []
    for path in host.glob(f"/etc/php/{version}/fpm/pool.d/*.conf"):
        found += parse_pools(path, host.read_bytes(path).decode("utf-8", "replace"))
    return found


def _addressed(host: Host, apache: Apache, settings: list[PoolSetting]) -> list[PoolSetting]:
    """The settings of those pools that Apache's configuration leads to."""
    sockets = {host.realpath(address) for address in addresses(apache)}
    pools = {s.pool for s in settings if s.key == "listen" and _listens(host, s) in sockets}
    return [s for s in settings if s.pool in pools]


def _listens(host: Host, setting: PoolSetting) -> str:
    """Where a pool listens, as `addresses` writes it."""
    listen = setting.value.replace("$pool", setting.pool)
    if listen.startswith("/"):
        return host.realpath(listen)
    address, _, port = listen.rpartition(":")
    return f"/{'127.0.0.1' if address in ('', '*', '0.0.0.0', 'localhost') else address}:{port}"


def addresses(apache: Apache) -> set[str]:
    """Sockets that Apache hands requests to; a TCP address is written "/127.0.0.1:9000"."""
    found = set()
    for directive in apache.config.named("SetHandler", "ProxyPass", "ProxyPassMatch"):
        for word in directive.words:
            match = _SOCKET.match(word)
            if match:
                socket, tcp = match.groups()
                found.add(socket or f"/{tcp.replace('localhost', '127.0.0.1')}")
    return found


WEB_PHP: Fact[tuple[WebPhp, ...]] = Fact("web-php", _read_web_php)
