"""Which key counts for a login, and what keeps the others out."""

from __future__ import annotations

from typing import cast

import pytest

from host.base import Host, Session
from host.facts import Facts
from host.facts.login import Accepted, parse_accounts
from steps.guard_keys import key_obstacle
from steps.resource import Context

ALICE = parse_accounts("alice:x:1000:1000::/home/alice:/bin/bash\n", "alice:x:1000:\n", "")["alice"]
KEYS = "/home/alice/.ssh/authorized_keys"
RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCprAFHAOQp0vVZA+j1hW9B6WshgkJIt4UGouAH8EPnfd4DNWaI"
    "PZynGPTzJ8gw2jYvIkMfVyl4kag4b8Q9b7h+RF+AjAA958wPuAkzMPEfMyuWInRXx8BmKOV+RtVig5+zPHL/Fy+k"
    "HIGRXiWAqtXfEy2k8QrAg4u53i7aigE1JEXEj+wTuUz6e0aCqRYMCN1CpnNyyFCMdk3fMuvslC5+cN8GTaoW2LPz"
    "07oARm8XtGr7lBmxYJlCwoIoUx7zXZln47t6DTzCVxFrphbHH6++MD7ksbGhM7flDn0FWY31yNVwTSTf1+8zMZMy"
    "4LDqS5dX7rRwDcOTGQ7xvHn9UX0b"
)
RSA_PRINT = "SHA256:KR2KqgiUR6Zoe1fxTsSHxgp9RH84QPWTVFLZyiiCKQo"
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMmUuFCcqBVUDzVSvOIIk3gp+0o1uMI0QGZDY3DKVKAF"
ED25519_PRINT = "SHA256:ssfkJrpy/dfbSj71mbJXnxST9t13A5Jn0orpUhvoq0w"
SK = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"


def asked(keys: str, came: Accepted | None = None, /, **settings: str) -> tuple[str, str]:
    """(obstacle, doubt) for alice from 192.0.2.7; owners and modes are left out."""
    ctx = Context(
        cast(Host, None), cast(Facts, None), Session(user="alice", client_address="192.0.2.7")
    )
    files = {KEYS: keys, "/etc/revoked": ED25519}
    return key_obstacle(ctx, ALICE, {"strictmodes": "no", **settings}, files.get, came, "")


@pytest.mark.parametrize(
    ("keys", "settings", "reason"),
    [
        (RSA, {"requiredrsasize": "2048"}, ""),
        (RSA, {"requiredrsasize": "3072"}, "the RSA key has 2048 bits, RequiredRSASize wants 3072"),
        (RSA, {"pubkeyacceptedalgorithms": "rsa-sha2-256"}, ""),
        (RSA, {"pubkeyacceptedalgorithms": "ssh-ed25519"}, "does not accept ssh-rsa"),
        (SK, {"pubkeyacceptedalgorithms": "ssh-ed25519"}, "does not accept sk-ssh-ed25519"),
        (SK, {"pubkeyacceptedalgorithms": "sk-ssh-ed25519@openssh.com"}, ""),
        (ED25519, {"revokedkeys": "/etc/revoked"}, "lists the key"),
        (RSA, {"revokedkeys": "/etc/revoked"}, ""),
        (RSA, {"revokedkeys": "/etc/none"}, "accepts no key at all"),
        (f"{RSA}\n{ED25519}", {"requiredrsasize": "4096"}, ""),
        (f"cert-authority {RSA}", {}, "whose certificates were not tried"),
        ("", {}, "alice has no key in /home/alice/.ssh/authorized_keys"),
        (RSA, {"authorizedkeysfile": "none"}, "no key in any AuthorizedKeysFile"),
    ],
)
def test_a_key_is_accepted_or_not(keys: str, settings: dict[str, str], reason: str) -> None:
    found = asked(keys, **settings)[0]
    assert reason in found and bool(found) is bool(reason)


def test_the_key_in_hand_counts() -> None:
    both = f"{RSA}\n{ED25519}"
    by_rsa = Accepted("publickey", "RSA", RSA_PRINT)
    by_ed25519 = Accepted("publickey", "ED25519", ED25519_PRINT)
    only = {"pubkeyacceptedalgorithms": "ssh-ed25519"}
    assert "does not accept ssh-rsa" in asked(both, by_rsa, **only)[0]
    assert asked(both, by_ed25519, **only) == ("", "")
    gone = asked(ED25519, by_rsa)[0]
    assert RSA_PRINT in gone and "it stands in none of" in gone


def test_what_is_not_known_of_a_login_is_a_doubt() -> None:
    assert "came in by password" in asked(RSA, Accepted("password"))[1]
    pin = {"pubkeyauthoptions": "verify-required"}
    assert asked(SK, **pin) == ("", asked(SK, **pin)[1])
    assert "asks for a PIN" in asked(SK, **pin)[1] and asked(RSA, **pin) == ("", "")


def test_a_certificate_needs_its_authority() -> None:
    came = Accepted("publickey", "ED25519-CERT", "SHA256:x", ED25519_PRINT)
    assert asked(f"cert-authority {ED25519}", came, authorizedkeysfile="none")[0] != ""
    trusted = {"trustedusercakeys": "/etc/revoked"}
    assert asked("", came, **trusted) == ("", "")
    plain = {**trusted, "pubkeyacceptedalgorithms": "ssh-ed25519"}
    assert "does not accept the ED25519-CERT" in asked("", came, **plain)[0]
