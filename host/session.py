"""How the administrator reached this host, also where sudo or tmux dropped SSH_CONNECTION."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from host.base import Session


def read() -> Session:
    """See `host.base.Session`."""
    return from_connection(os.environ.get("SSH_CONNECTION", ""), user_of(os.environ))


def user_of(environ: Mapping[str, str]) -> str:
    """Who sits before the keyboard: the one who called sudo, else the one we run as."""
    if environ.get("SUDO_USER"):
        return environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return environ.get("USER", "")


def from_connection(value: str, user: str) -> Session:
    """SSH_CONNECTION "192.0.2.7 51234 10.0.0.5 22" -> a session; anything else -> none."""
    words = value.split()
    if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
        return Session(user=user)
    return Session(
        user=user,
        client_address=words[0],
        client_port=int(words[1]),
        server_address=words[2],
        server_port=int(words[3]),
    )
