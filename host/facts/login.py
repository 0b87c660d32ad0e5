"""Accounts, and the public keys they can log in with."""

from __future__ import annotations

import re
import time

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

NO_LOGIN_SHELLS = ("nologin", "false", "sync", "halt", "shutdown", "true")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as NSS and /etc/shadow describe it.

    `password` is "usable", "locked" (no password can match) or "empty". `expires_day` and the
    like count days since 1970-01-01; -1 stands for never.
    """

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...] = ()
    password: str = "locked"
    locked_by_mark: bool = False
    """The password field begins with "!", which sshd itself refuses where UsePAM is off."""
    changed_day: int = -1
    maximum_days: int = -1
    inactive_days: int = -1
    expires_day: int = -1

    @property
    def has_shell(self) -> bool:
        return self.shell.rpartition("/")[2] not in NO_LOGIN_SHELLS

    def expired(self, today: int) -> bool:
        """Whether PAM refuses the account, keys or not (`today` in days since 1970-01-01)."""
        if 0 <= self.expires_day <= today:
            return True
        if self.changed_day < 0 or self.maximum_days < 0 or self.inactive_days < 0:
            return False
        return today > self.changed_day + self.maximum_days + self.inactive_days


class AuthorizedKey(msgspec.Struct, frozen=True):
    """A line of an authorized_keys file. `bits` is 0 for other types than RSA; `fingerprint` as
    sshd logs it, "SHA256:UUstiO6G…", `public` the key alone, "ssh-ed25519 AAAA…"."""

    type: str
    options: dict[str, str]
    bits: int = 0
    comment: str = ""
    fingerprint: str = ""
    public: str = ""


def parse_accounts(passwd: str, group: str, shadow: str) -> dict[str, Account]:
    """`getent passwd`, `getent group` and /etc/shadow: {"alice": Account(name="alice", …)}.

    Only a newline ends a line: what else might, a user may put into their own (chfn).
    """
    members: dict[str, list[str]] = {}
    group_names: dict[int, str] = {}
    for line in group.split("\n"):
        parts = line.split(":")
        if len(parts) >= 4 and parts[2].isdigit():
            group_names[int(parts[2])] = parts[0]
            for member in filter(None, parts[3].split(",")):
                members.setdefault(member, []).append(parts[0])
    shadows = {line.split(":")[0]: line.split(":") for line in shadow.split("\n") if ":" in line}
    accounts = {}
    for line in passwd.split("\n"):
        parts = line.split(":")
        if len(parts) < 7 or not (parts[2].isdigit() and parts[3].isdigit()):
            continue
        name, gid = parts[0], int(parts[3])
        primary = [group_names[gid]] if gid in group_names else []
        fields = shadows.get(name, [])
        secret = fields[1] if len(fields) > 1 else "*"
        accounts[name] = Account(
            name=name,
            uid=int(parts[2]),
            gid=gid,
            home=parts[5] or "/",
            shell=parts[6] or "/bin/sh",
            groups=tuple(dict.fromkeys(primary + members.get(name, []))),
            password="empty"
            if not secret
            else "usable"
            if secret[0] in "$_." or secret[0].isalnum()
            else "locked",
            locked_by_mark=secret.startswith("!"),
            changed_day=_day(fields, 2),
            maximum_days=_day(fields, 4),
            inactive_days=_day(fields, 6),
            expires_day=_day(fields, 7),
        )
    return accounts


def parse_authorized_keys(text: str) -> list[AuthorizedKey]:
    """Every key of an authorized_keys file; lines that sshd would skip are left out."""
    keys = []
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        options: dict[str, str] = {}
        fields = stripped.split(None, 2)
        if not _is_type(fields[0]):
            raw, rest = _split_options(stripped)
            options = _options(raw)
            fields = rest.split(None, 2)
        if len(fields) < 2 or not _is_type(fields[0]):
            continue
        blob = _blob(fields[1])
        if blob is None:
            continue
        bits = _rsa_bits(blob) if fields[0] == "ssh-rsa" else 0
        comment = fields[2] if len(fields) > 2 else ""
        public = f"{fields[0]} {fields[1]}"
        keys.append(AuthorizedKey(fields[0], options, bits, comment, _fingerprint(blob), public))
    return keys


def parse_sudo_list(text: str) -> tuple[bool, bool]:
    """`sudo -l -U NAME`: (may run everything as root, and that without a password).

    Lines look like "    (ALL : ALL) ALL" and "    (root) NOPASSWD: SETENV: ALL".
    """
    everything = without_password = False
    for line in text.splitlines():
        found = re.fullmatch(r"\s+\(([^)]*)\)\s+((?:[A-Z]+: )*)(.*)", line)
        if not found:
            continue
        runas = re.split(r"[,:\s]+", found.group(1).strip())
        commands = [command.strip() for command in found.group(3).split(",")]
        if ("ALL" in runas or "root" in runas) and "ALL" in commands:
            everything = True
            without_password = without_password or "NOPASSWD:" in found.group(2)
    return everything, without_password


def parse_sessions(text: str) -> tuple[str, ...]:
    """`loginctl list-sessions --no-legend`: the user of each session of a person."""
    users = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and "manager" not in words[3:] and "manager-early" not in words[3:]:
            users.append(words[2])
    return tuple(users)


def parse_faillock(text: str) -> list[float]:
    """`faillock --user NAME`: when (seconds since 1970) each failure that counts was, in order.

    "2026-11-25 18:20:02 RHOST 192.0.2.7                    V"
    """
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[-1] == "V":
            try:
                when = time.strptime(f"{words[0]} {words[1]}", "%Y-%m-%d %H:%M:%S")
            except ValueError:
                continue
            found.append(time.mktime(when))
    return found


class Accepted(msgspec.Struct, frozen=True):
    """How a login came in, as sshd logged it: ("publickey", "ED25519", "SHA256:…").

    Of a certificate `type` ends in "-CERT" and `authority` is the fingerprint of who signed it.
    """

    method: str
    type: str = ""
    fingerprint: str = ""
    authority: str = ""


def parse_accepted(text: str, user: str, address: str, port: int) -> Accepted | None:
    """The journal of sshd, its lines for one connection:

    "Accepted publickey for alice from 192.0.2.7 port 40850 ssh2: ED25519 SHA256:UUstiO6G…"
    "Accepted publickey for alice from … ssh2: ED25519-CERT SHA256:… ID laptop (serial 0) CA
    ED25519 SHA256:…", "Accepted password for alice from …"
    """
    found = None
    start = f" for {user} from {address} port {port} "
    for line in text.splitlines():
        if not line.startswith("Accepted ") or start not in line:
            continue
        words = line.split()
        details = line.partition(" ssh2: ")[2].split()
        authority = line.rpartition(" CA ")[2].split() if " CA " in line else []
        found = Accepted(
            words[1].partition("/")[0],
            details[0] if details else "",
            details[1] if len(details) > 1 else "",
            authority[1] if len(authority) > 1 else "",
        )
    return found


def _day(fields: list[str], index: int) -> int:
    return int(fields[index]) if len(fields) > index and fields[index].isdigit() else -1


def _is_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"))


def _split_options(line: str) -> tuple[str, str]:
    quoted = False
    for index, character in enumerate(line):
        if character == '"' and (index == 0 or line[index - 1] != "\\"):
            quoted = not quoted
        elif character.isspace() and not quoted:
            return line[:index], line[index + 1 :].strip()
    return line, ""


def _options(raw: str) -> dict[str, str]:
    options = {}
    for found in re.finditer(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?,?', raw):
        options[found.group(1).lower()] = (found.group(2) or "").replace('\\"', '"')
    return options


def _blob(text: str) -> bytes | None:
    import base64
    import binascii

    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _fingerprint(blob: bytes) -> str:
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def _rsa_bits(blob: bytes) -> int:
    """The modulus length of an ssh-rsa key: three fields, each with its length before it."""
    fields = []
    while len(blob) >= 4:
        length = int.from_bytes(blob[:4], "big")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return int.from_bytes(fields[2], "big").bit_length() if len(fields) > 2 else 0


def _accounts(host: Host, facts: Facts) -> dict[str, Account]:
    if not host.is_root:
        raise FactUnavailable("accounts can be read by root only (/etc/shadow)")
    passwd = host.run(["getent", "passwd"], timeout_s=10).stdout
    group = host.run(["getent", "group"], timeout_s=10).stdout
    shadow = host.read_bytes("/etc/shadow").decode("utf-8", "replace")
    return parse_accounts(passwd, group, shadow)


def _logged_in(host: Host, facts: Facts) -> tuple[str, ...]:
    try:
        listed = host.run(["loginctl", "list-sessions", "--no-legend"], timeout_s=10)
    except HostError as error:
        raise FactUnavailable(str(error)) from None
    return parse_sessions(listed.stdout)


ACCOUNTS: Fact[dict[str, Account]] = Fact("accounts", _accounts)
LOGGED_IN: Fact[tuple[str, ...]] = Fact("logged-in", _logged_in)
