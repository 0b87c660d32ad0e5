"""Where rsyslog forwards to, as its files say, and whether it has a connection there now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts
from host.facts.texts import read_texts

FILES = ("/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf")

_ACTION = re.compile(r"(?<![\w.])action\s*\(((?:[^()\"]|\"[^\"]*\")*)\)", re.IGNORECASE)
_PAIR = re.compile(r"([\w.]+)\s*=\s*\"([^\"]*)\"")
_LEGACY = re.compile(
    r"^[^#$\s]\S*\s+-?(@@?)(\([^)]*\))?(\[[^\]]+\]|[\w.-]+)(?::(\d+))?", re.MULTILINE
)
_OURS = re.compile(r'users:\(\("(?:rsyslogd|rs:)')


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """One place that log lines are sent to. `peers` are the names its certificate may have."""

    target: str
    port: int
    protocol: str
    encrypted: bool
    peers: str
    authority: str
    origin: str


def forwards(texts: Mapping[str, str]) -> list[Forward]:
    """Every forwarding in rsyslog's files (`omfwd`, and the older "*.* @@host:514")."""
    found: list[Forward] = []
    for path, text in texts.items():
        bare = re.sub(r"(?m)^\s*#.*$", "", text)
        found += [*_actions(path, bare), *_older(path, bare)]
    return found


def _actions(path: str, text: str) -> Iterator[Forward]:
    for action in _ACTION.finditer(text):
        values = {name.lower(): value for name, value in _PAIR.findall(action[1])}
        if values.get("type", "").lower() != "omfwd" or not values.get("target"):
            continue
        number = values.get("port", "514")
        driver = values.get("streamdriver", values.get("streamdriver.name", "")).lower()
        yield Forward(
            target=values["target"],
            port=int(number) if re.fullmatch(r"[0-9]{1,5}", number) else 0,
            protocol=values.get("protocol", "udp").lower(),
            encrypted=driver in ("gtls", "ossl") and values.get("streamdrivermode") == "1",
            peers=values.get("streamdriverpermittedpeers", "")
            if values.get("streamdriverauthmode", "").lower() == "x509/name"
            else "",
            authority=values.get("streamdriver.cafile", ""),
            origin=f"{path}:{text.count(chr(10), 0, action.start()) + 1}",
        )


def _older(path: str, text: str) -> Iterator[Forward]:
    for line in _LEGACY.finditer(text):
        yield Forward(
            target=line[3].strip("[]"),
            port=int(line[4]) if line[4] and len(line[4]) < 6 else 514,
            protocol="tcp" if line[1] == "@@" else "udp",
            encrypted=False,
            peers="",
            authority="",
            origin=f"{path}:{text.count(chr(10), 0, line.start()) + 1}",
        )


def parse_established(text: str) -> tuple[str, ...]:
    """`ss -Hntp state established`: the far ends of rsyslogd's connections, "10.0.0.9:6514"."""
    rows = (line.split() for line in text.splitlines() if _OURS.search(line))
    return tuple(words[3] for words in rows if len(words) > 4)


def _files(host: Host, facts: Facts) -> dict[str, str]:
    return read_texts(host, FILES)


def connected(port: int) -> Fact[tuple[str, ...]]:
    """The far ends of the connections that rsyslogd has to a port of others."""

    def read(host: Host, facts: Facts) -> tuple[str, ...]:
        argv = ("ss", "-Hntp", "state", "established", f"dport = :{port}")
        return parse_established(host.run(argv, ok=None).stdout)

    return Fact(f"rsyslog-connected {port}", read)


RSYSLOG_FILES: Fact[dict[str, str]] = Fact("rsyslog-files", _files)
"""Path -> text, in the order in which rsyslog reads them."""
