"""After a change sshd must still listen where the present connection came in, and serve it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.base import HostError
from host.facts.ports import PORTS
from host.facts.sshd import SOCKET, SSHD_DAEMON, Effective
from steps.resource import Context
from steps.sshd_merged import Merged

_SSHD = ("sshd", "sshd-session")
_UNITS = ("ssh.service", "ssh.socket", "sshd.service")
_SOCKET_FILES = re.compile(r"/(etc|run|usr/local/lib|lib|usr/lib)/systemd/system/ssh\.socket")
_ANY = ("0.0.0.0", "[::]", "::", "*")


def deaf(ctx: Context, result: Merged, files: Mapping[str, str | None]) -> str:
    """Why no new connection like the present one would be taken; empty if one would."""
    session = ctx.session
    if not session.over_ssh or not session.server_port:
        return ""
    listeners = [
        port
        for port in ctx.facts.get(PORTS)
        if port.protocol == "tcp"
        and port.port == session.server_port
        and (port.process in _SSHD or port.unit in _UNITS)
    ]
    if not listeners:
        return ""  # another server took this connection, and nothing here changes that one
    if ctx.facts.get(SSHD_DAEMON).by_socket:
        return _socket_deaf(ctx, files)
    listens = result.everyone().get("listenaddress", "").split()
    if any(_takes(one, session.server_address, session.server_port) for one in listens):
        return ""
    return (
        f"You came in at {session.server_address} port {session.server_port}, where sshd would not"
        f" listen any more (only at {', '.join(listens) or 'no address'}). Keep `Port"
        f" {session.server_port}` and its ListenAddress until you came in by the new one,"
        " then apply again."
    )


def _takes(listens: str, address: str, port: int) -> bool:
    """Whether "0.0.0.0:22", "[::]:22" or "10.0.0.5:22" takes a connection to address and port."""
    place, _, number = listens.rpartition(":")
    if number != str(port):
        return False
    ours = address.partition("%")[0]
    if place in _ANY:
        return place != "0.0.0.0" or ":" not in ours
    return place.strip("[]").partition("%")[0] == ours


def _socket_deaf(ctx: Context, files: Mapping[str, str | None]) -> str:
    """ssh.socket holds the port: only its own files change that. What they say is read in order."""
    if not any(_SOCKET_FILES.match(path) for path in files):
        return ""
    streams = socket_streams(_unit_texts(ctx, files))
    port = ctx.session.server_port
    if any(stream.rpartition(":")[2] == str(port) for stream in streams):
        return ""
    return (
        f"You came in at port {port}, where {SOCKET} would not listen any more (only"
        f" {', '.join(streams) or 'nowhere'}). Keep `ListenStream={port}` beside the new one until"
        " you came in by that, then apply again."
    )


def _unit_texts(ctx: Context, files: Mapping[str, str | None]) -> list[str]:
    host = ctx.host
    main, drop_ins = "", []
    for folder in ("/usr/lib", "/lib", "/usr/local/lib", "/run", "/etc"):
        place = f"{folder}/systemd/system/{SOCKET}"
        main = place if host.state(place) is not None or files.get(place) else main
        drop_ins += host.glob(f"{place}.d/*.conf")
        drop_ins += [path for path in files if path.startswith(f"{place}.d/")]
    by_name = {path.rpartition("/")[2]: path for path in drop_ins}
    texts = []
    for path in [main, *(by_name[name] for name in sorted(by_name))]:
        text = files.get(path, "")
        if path and path not in files:
            try:
                text = host.read_bytes(path).decode("utf-8", "replace")
            except HostError:
                text = ""
        texts.append(text or "")
    return texts


def socket_streams(texts: list[str]) -> list[str]:
    """What ListenStream amounts to; an empty one forgets those before it."""
    found: list[str] = []
    for text in texts:
        for value in re.findall(r"(?m)^[ \t]*ListenStream[ \t]*=[ \t]*(\S*)[ \t]*$", text):
            found = [*found, value] if value else []
    return found


def serves_nobody(settings: Effective) -> str:
    """A limit with which no login comes about at all; empty if none does.

    Tried on both releases: MaxSessions 0 and MaxAuthTries 0 shut everybody out.
    """
    for option, name in (("maxsessions", "MaxSessions"), ("maxauthtries", "MaxAuthTries")):
        if settings.get(option) == "0":
            return f"{name} 0 lets nobody in"
    found = re.fullmatch(r"(\d+):(\d+):(\d+)", settings.get("maxstartups", ""))
    if found and int(found[1]) <= 1 and int(found[2]) >= 100:
        return (
            f"MaxStartups {found[0]} turns everybody away while a single connection has not logged"
            " in yet, which any stranger can keep up"
        )
    return ""
