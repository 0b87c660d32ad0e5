"""What Apache says of itself, on disk and running.

Tried on bookworm and trixie (2.4): Apache writes its process id file anew each time it reads its
configuration (start, restart and graceful, also without systemd), so that file's time is when the
running configuration was read. A module that was unloaded by a graceful restart is no longer
mapped by the parent process.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import CommandFailed, CommandMissing, Host, HostError
from host.facts.apache_config import (
    Config,
    Include,
    VirtualHost,
    parse_config,
    parse_includes,
    parse_modules,
    parse_run_settings,
    virtual_hosts,
)
from host.facts.base import Fact, Facts, FactUnavailable

UNIT = "apache2.service"
FOLDER = "/etc/apache2"
_MOD_INFO = "LoadModule info_module /usr/lib/apache2/modules/mod_info.so"
_SHORT_DUMPS = ("-D", "DUMP_MODULES", "-D", "DUMP_INCLUDES", "-D", "DUMP_RUN_CFG")
_SHARED_OBJECT = re.compile(r"/([^/\s]+\.so)\b")


class Apache(msgspec.Struct, frozen=True):
    """The configuration on disk, as Apache itself parses it.

    `modules`: {"core_module": "static", …}; `enabled`: names in mods-enabled ("status", …);
    `settings`: see `parse_run_settings`.
    """

    config: Config
    modules: dict[str, str]
    enabled: tuple[str, ...]
    includes: tuple[Include, ...]
    settings: dict[str, str]

    @property
    def hosts(self) -> tuple[VirtualHost, ...]:
        return virtual_hosts(self.config)

    @property
    def document_root(self) -> str:
        return self.settings.get("Main DocumentRoot", "")


class Running(msgspec.Struct, frozen=True):
    """The running server. `pid` 0: it does not run.

    `loaded_ns` is when it read its configuration (wall clock), `changed` what of that
    configuration is newer; `objects` the file names of its modules ("mod_status.so"), `None`
    where we may not see them.
    """

    pid: int = 0
    loaded_ns: int = 0
    changed: tuple[str, ...] = ()
    objects: frozenset[str] | None = None

    @property
    def stale(self) -> str:
        """Why the running server may differ from the files; empty where it does not."""
        if not self.pid or not self.changed:
            return ""
        more = f" and {len(self.changed) - 1} more" if len(self.changed) > 1 else ""
        return f"{self.changed[0]}{more} changed after Apache read its configuration"


def _read_apache(host: Host, facts: Facts) -> Apache:
    try:
        # Side by side: with thousands of rules (ModSecurity) each reads for a tenth of a second.
        with ThreadPoolExecutor(1) as aside:
            second = aside.submit(host.run, ["apache2ctl", "-t", *_SHORT_DUMPS])
            dump = host.run(["apache2ctl", "-t", "-D", "DUMP_CONFIG", "-C", _MOD_INFO])
            rest = second.result().stdout
    except CommandMissing:
        raise FactUnavailable("Apache is not installed (there is no apache2ctl)") from None
    except CommandFailed as error:
        raise FactUnavailable(
            f"Apache cannot read its own configuration: {_complaint(error.completed.stderr)};"
            " correct it, then check it with `apache2ctl configtest`"
        ) from None
    names = (name.removesuffix(".load") for name in host.listdir(f"{FOLDER}/mods-enabled"))
    return Apache(
        config=parse_config(dump.stdout),
        modules=parse_modules(rest),
        enabled=tuple(name for name in names if not name.endswith(".conf")),
        includes=parse_includes(rest),
        settings=parse_run_settings(rest),
    )


def _complaint(text: str) -> str:
    """What Apache printed about its configuration, without its remark on the host's name."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "AH00558" not in line]
    kept = [line for line in lines if not line.startswith(("Action '", "The Apache error log"))]
    return " ".join(kept).rstrip(".") or "it gave no reason"


def _read_running(host: Host, facts: Facts) -> Running:
    apache = facts.get(APACHE)
    pid_file = host.realpath(apache.settings.get("PidFile", "/run/apache2/apache2.pid"))
    state = host.state(pid_file)
    if state is None:
        return Running()
    text = host.read_bytes(pid_file, limit_bytes=64).decode("ascii", "replace").strip()
    pid = int(text) if text.isascii() and text.isdigit() else 0
    if not pid or host.state(f"/proc/{pid}") is None or not _is_apache(host, pid):
        return Running()
    folders = [f"{FOLDER}/{name}-enabled" for name in ("mods", "conf", "sites")]
    files = [include.file for include in apache.includes]
    return Running(
        pid=pid,
        loaded_ns=state.mtime_ns,
        changed=changed_since(host, [*folders, *files, f"{FOLDER}/envvars"], state.mtime_ns),
        objects=_objects(host, pid),
    )


def _is_apache(host: Host, pid: int) -> bool:
    """A process id file outlives its process; the number may belong to another one by now."""
    try:
        return host.read_bytes(f"/proc/{pid}/comm", limit_bytes=64).strip() == b"apache2"
    except HostError:
        return False


def _objects(host: Host, pid: int) -> frozenset[str] | None:
    found = host.run(["grep", "-o", r"/[^ ]*\.so", f"/proc/{pid}/maps"], ok=None)
    if found.returncode != 0:
        return None
    return frozenset(_SHARED_OBJECT.findall(found.stdout))


def changed_since(host: Host, paths: list[str], when_ns: int) -> tuple[str, ...]:
    """Which of `paths` (links followed) changed in content or metadata after `when_ns`."""
    there = sorted({path for path in paths if host.state(path) is not None})
    if not there:
        return ()
    moment = f"@{when_ns // 10**9}.{when_ns % 10**9:09d}"
    found = host.run(["find", "-L", *there, "-maxdepth", "0", "-newerct", moment], ok=(0, 1))
    return tuple(found.stdout.splitlines())


APACHE: Fact[Apache] = Fact("apache", _read_apache)
RUNNING: Fact[Running] = Fact("apache-running", _read_running)
