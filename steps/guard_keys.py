"""Which key, certificate or key command would let an account in, and what keeps the others out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

from host.base import FileState, HostError
from host.facts.login import ACCOUNTS, Accepted, Account, AuthorizedKey, parse_authorized_keys
from host.facts.sshd import Effective
from steps.login_patterns import address_listed
from steps.private_copy import private_copy
from steps.resource import Context

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_BY_LOGIN = ("%t", "%k", "%f", "%T", "%K", "%F", "%i", "%s")
"""Tokens that only the login itself fills in."""

_KRL = "SSHKRL"
"""How a binary list of revoked keys begins (PROTOCOL.krl of OpenSSH)."""

KEY_COPY = "/run/harden-tui-key-"
_UNTRIED = "was not tried"

Read = Callable[[str], str | None]


def key_obstacle(
    ctx: Context, account: Account, settings: Effective, read: Read, came: Accepted | None,
    host_name: str,
) -> tuple[str, str]:  # fmt: skip
    """(why no key lets `account` in, what could not be told); the first is empty if one does.

    `came`: how this account's present login came in. If it was with a key, that one counts: whether
    the person has the others at hand is not known.
    """
    address = ctx.session.client_address
    if came is not None and came.authority:
        return _certificate_obstacle(ctx, account, settings, read, came), ""
    found: list[str] = []
    others = False
    untried = ""
    paths = list(_paths(account, settings))
    for place, keys, loose in _offers(ctx, account, settings, read, paths):
        if loose:
            found.append(loose)
            untried = untried or (loose if loose.endswith(_UNTRIED) else "")
            continue
        for key in keys:
            problem = _key_problem(key, settings, address, host_name)
            if came is None or came.method != "publickey" or key.fingerprint == came.fingerprint:
                problem = problem or _revoked(ctx, key, settings, read)
                if not problem:
                    return "", _doubt(account, came, key, settings)
                found.insert(0, f"{problem} ({place})")
            elif not problem:
                others = True
            else:
                found.append(f"{problem} ({place})")
    if untried:  # it may know the key: no definite lock-out
        return "", f"Whether a key lets {account.name} in cannot be told: {untried}."
    if others and came is not None:
        if not found:
            found = [f"it stands in none of {', '.join(paths)}"]
        return (
            f"the key {account.name} came in with ({came.fingerprint}) would let nobody in any"
            f" more: {found[0]}",
            "",
        )
    if found:
        return "; ".join(dict.fromkeys(found)), ""
    return f"{account.name} has no key in {paths[0] if paths else 'any AuthorizedKeysFile'}", ""


def _doubt(account: Account, came: Accepted | None, key: AuthorizedKey, settings: Effective) -> str:
    if key.type.startswith("sk-") and "verify-required" in settings.get("pubkeyauthoptions", ""):
        return (
            f"PubkeyAuthOptions asks for a PIN; whether the security key of {account.name} was made"
            " with one (ssh-keygen -O verify-required) is not known."
        )
    if came is None or came.method == "publickey":
        return ""
    return (
        f"{account.name} came in by {came.method}; whether you have the key that"
        " stands in authorized_keys is not known. Try it from a second terminal first."
    )


def _offers(
    ctx: Context, account: Account, settings: Effective, read: Read, paths: list[str]
) -> Iterator[tuple[str, list[AuthorizedKey], str]]:
    """(where, keys, why they are not looked at) of the key command and each key file."""
    command = settings.get("authorizedkeyscommand", "none")
    if command != "none":
        yield (command.split()[0], *_from_command(ctx, account, command, settings))
    for path in paths:
        text = read(path)
        keys = parse_authorized_keys(text) if text is not None else []
        if keys:
            strict = settings.get("strictmodes", "yes") == "yes"
            yield (
                path,
                keys,
                _loose(ctx, path, account) if strict else "",
            )


def _paths(account: Account, settings: Effective) -> Iterator[str]:
    for place in settings.get("authorizedkeysfile", ".ssh/authorized_keys").split():
        if place != "none":
            path = _filled(place, account)
            yield path if path.startswith("/") else f"{account.home}/{path}"


def _filled(text: str, account: Account) -> str:
    tokens = {"%%": "%", "%h": account.home, "%u": account.name, "%U": str(account.uid)}
    return re.sub(r"%.", lambda token: tokens.get(token.group(), token.group()), text)


def _from_command(
    ctx: Context, account: Account, command: str, settings: Effective
) -> tuple[list[AuthorizedKey], str]:
    """What AuthorizedKeysCommand prints, run as sshd runs it at every login."""
    words = command.split()
    program, user = words[0], settings.get("authorizedkeyscommanduser", "none")
    if user == "none":
        return [], "AuthorizedKeysCommand is not run without an AuthorizedKeysCommandUser"
    loose = _loose(ctx, program, None)
    if loose:
        return [], loose.replace("StrictModes ignores it", "sshd does not run it")
    if any(token in command for token in _BY_LOGIN):
        return [], f"{program} wants to know the key and {_UNTRIED}"
    arguments = [_filled(word, account) for word in words[1:]] or [account.name]
    argv = ["runuser", "-u", user, "--", program, *arguments]
    try:
        answer = ctx.host.run(argv, timeout_s=10, ok=None)
    except HostError as error:
        return [], f"{program} gave no keys ({error})"
    if not answer.ok:
        return [], f"{program} gave no keys (exit status {answer.returncode})"
    return parse_authorized_keys(answer.stdout), ""


def _certificate_obstacle(
    ctx: Context, account: Account, settings: Effective, read: Read, came: Accepted
) -> str:
    """For who came in with a certificate: its authority must still be trusted."""
    name = account.name
    base = came.type.removesuffix("-CERT").lower()
    accepted = settings.get("pubkeyacceptedalgorithms", "").split(",")
    if accepted != [""] and not any(_is_certificate_of(one, base) for one in accepted):
        return f"PubkeyAcceptedAlgorithms does not accept the {came.type} that {name} came in with"
    trusted = settings.get("trustedusercakeys", "none")
    if trusted != "none":
        keys = parse_authorized_keys(read(trusted) or "")
        if any(key.fingerprint == came.authority for key in keys):
            principals = settings.get("authorizedprincipalsfile", "none")
            if principals == "none":
                return ""
            path = _filled(principals, account)
            path = path if path.startswith("/") else f"{account.home}/{path}"
            if (read(path) or "").strip():
                return _loose(ctx, path, account)
            return f"AuthorizedPrincipalsFile {path} names nobody"
    for path in _paths(account, settings):
        for key in parse_authorized_keys(read(path) or ""):
            if "cert-authority" in key.options and key.fingerprint == came.authority:
                return _loose(ctx, path, account)
    return f"the authority ({came.authority}) of the certificate {name} came in with is not trusted"


def _is_certificate_of(algorithm: str, base: str) -> bool:
    """Whether "ssh-ed25519-cert-v01@openssh.com" stands for what sshd logs as ED25519-CERT."""
    if "-cert-" not in algorithm:
        return False
    is_sk, wants_sk = algorithm.startswith("sk-"), base.endswith("-sk")
    kind = base.removesuffix("-sk")
    return is_sk == wants_sk and (kind in algorithm or (kind == "rsa" and "rsa" in algorithm))


def _loose(ctx: Context, path: str, account: Account | None) -> str:
    """What StrictModes has against a file: as safe_path() of OpenSSH's misc.c walks up.

    Without an account it must be root's own, as sshd asks of a command. An account's file that is
    not there yet will be written by root: what counts is what lies above.
    """
    owners = (0,) if account is None else (0, account.uid)
    whose = "root" if account is None else f"neither {account.name} nor root"
    host = ctx.host
    home = host.realpath(account.home) if account is not None else "/"
    place = host.realpath(path)
    while True:
        state = host.state(place)
        if state is None:
            if account is None:
                return f"{place} is missing"
            place = place.rpartition("/")[0] or "/"
            continue
        if state.uid not in owners:
            belongs = "does not belong to" if account is None else "belongs to"
            return f"{place} {belongs} {whose}, so StrictModes ignores it"
        if state.mode & 0o002 or (
            state.mode & 0o020 and _shared(state, owners[-1], ctx.facts.get(ACCOUNTS))
        ):
            return f"{place} is writable by others, so StrictModes ignores it"
        if place in (home, "/"):
            return ""
        place = place.rpartition("/")[0] or "/"


def _shared(state: FileState, uid: int, everyone: dict[str, Account]) -> bool:
    """Whether a file that its group may write is anybody's else too.

    Debian's sshd accepts it where the group has the owner alone (user-group-modes.patch).
    """
    names = {one.groups[0] for one in everyone.values() if one.gid == state.gid and one.groups}
    members = [one for one in everyone.values() if one.gid == state.gid or names & set(one.groups)]
    return not members or any(one.uid != uid for one in members)


def _key_problem(key: AuthorizedKey, settings: Effective, address: str, host_name: str) -> str:
    if "cert-authority" in key.options:
        return "only a certificate authority is listed, whose certificates were not tried"
    if "command" in key.options:
        return "the key is bound to one command"
    sources = key.options.get("from", "").split(",") if address else [""]
    if sources != [""] and not address_listed(address, sources, host_name):
        return f"the key is not accepted from {address}"
    if "expiry-time" in key.options and _past(key.options["expiry-time"]):
        return "the key has expired"
    accepted = settings.get("pubkeyacceptedalgorithms", "")
    usable = _RSA_SIGNATURES if key.type == "ssh-rsa" else (key.type,)
    if accepted and not set(usable) & set(accepted.split(",")):
        return f"PubkeyAcceptedAlgorithms does not accept {key.type}"
    smallest = settings.get("requiredrsasize", "1024")
    if key.type == "ssh-rsa" and smallest.isdigit() and key.bits < int(smallest):
        return f"the RSA key has {key.bits} bits, RequiredRSASize wants {smallest}"
    return ""


def _revoked(ctx: Context, key: AuthorizedKey, settings: Effective, read: Read) -> str:
    """RevokedKeys: a list of keys, or the binary list (KRL) that ssh-keygen makes."""
    path = settings.get("revokedkeys", "none")
    if path == "none":
        return ""
    text = read(path)
    if text is None:
        return f"RevokedKeys {path} cannot be read, with which sshd accepts no key at all"
    if not text.startswith(_KRL):
        listed = {one.fingerprint for one in parse_authorized_keys(text)}
        return f"RevokedKeys {path} lists the key" if key.fingerprint in listed else ""
    with private_copy(ctx.host, KEY_COPY, f"{key.public}\n") as copy:
        asked = ["ssh-keygen", "-Q", "-f", path, copy]
        answer = ctx.host.run(asked, timeout_s=10, ok=None)
    return "" if answer.ok else f"RevokedKeys {path} lists the key"


def _past(expiry: str) -> bool:
    """YYYYMMDD[HHMM[SS]], local time unless it ends in Z; seen as past when in doubt."""
    digits = expiry.rstrip("Zz")
    clock = time.gmtime() if digits != expiry else time.localtime()
    return not digits.isdigit() or digits < time.strftime("%Y%m%d%H%M%S", clock)[: len(digits)]
