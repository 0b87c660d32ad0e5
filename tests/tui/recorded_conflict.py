"""An undo that meets two conflicts, as the hands answer it before and after each choice."""

from __future__ import annotations

from typing import Any

CONFIG = "/etc/ssh/sshd_config"
LINK = "/etc/ssh/banner"

_HEAD = f"--- {CONFIG}\n+++ {CONFIG}\n@@ -1,4 +1,4 @@\n"

DISPUTED: list[dict[str, Any]] = [
    {
        "domain": "files", "key": CONFIG, "how": "conflict",
        "note": "somebody changed it before ssh.limits changed it too",
        "found_by": ["ssh.limits"],
        "sides": [{"label": label, "text": ""} for label in ("before", "now", "after")],
        "did": f"{_HEAD} Port 22\n-PermitRootLogin yes\n+PermitRootLogin no\n UsePAM yes\n"
        " Banner none\n",
        "since": f"{_HEAD} Port 22\n-PermitRootLogin no\n+PermitRootLogin prohibit-password\n"
        " UsePAM yes\n Banner none\n",
    },
    {
        "domain": "files", "key": LINK, "how": "conflict",
        "sides": [{"label": label, "text": ""} for label in ("before", "now", "after")],
        "did": f"{LINK}: file, mode 0644, owner 0:0 -> link to /etc/issue.net",
        "since": f"{LINK}: link to /etc/issue.net -> link to /srv/banner",
        "cannot": {"merge": "a file and a link cannot be merged"},
    },
]  # fmt: skip

_SETTLED: dict[str, dict[str, Any]] = {
    "keep-current": {
        "how": "kept", "note": "stays as it is now, as you chose; the step lets go of it",
    },
    "restore": {
        "how": "restore",
        "note": "what was changed since is given up, as you chose; it lies in the restore point of "
        "ssh.limits",
        "diff": f"{_HEAD} Port 22\n-PermitRootLogin prohibit-password\n+PermitRootLogin yes\n"
        " UsePAM yes\n Banner none\n",
    },
    "merge": {
        "how": "kept",
        "note": "nothing of the step can be told from what was changed since; all of it stays",
    },
}  # fmt: skip

_REST: dict[str, Any] = {
    "domain": "files", "key": "/etc/issue.net", "how": "handed-over",
    "note": "ssh.limits needs it as it is", "later": ["ssh.limits"],
}  # fmt: skip


def _settled(item: dict[str, Any], choice: str) -> dict[str, Any]:
    settled = {**item, **_SETTLED[choice], "chosen": choice}
    if choice == "restore" and item["key"] == LINK:
        settled["diff"] = f"{LINK}: link to /srv/banner -> file, mode 0644, owner 0:0"
    return settled


def undo(argv: list[str]) -> dict[str, Any]:
    """The plan with what `--restore=PATH` and the like in `argv` chose."""
    chosen: dict[str, str] = {}
    for word in argv:
        option, _, path = word.removeprefix("--").partition("=")
        if option in _SETTLED:
            chosen[path] = option
    items = [
        _settled(item, chosen[item["key"]]) if item["key"] in chosen else item for item in DISPUTED
    ]
    plan = {
        "transaction": "20261120-101500-000001-ab12", "steps": ["ssh.root-login"],
        "items": [*items, _REST], "commands": ["sshd -t", "systemctl reload ssh.service"],
        "fingerprint": "c" * 64,
    }  # fmt: skip
    return {"schema": "harden-tui/undo/1", "plans": [plan], "fingerprint": "c" * 64}


def events(argv: list[str]) -> list[dict[str, Any]]:
    """What the work says; the choices it was given among it."""
    given = [word for word in argv if "=" in word]
    return [
        {"event": "started", "run": "r2", "command": "rollback", "steps": ["ssh.root-login"]},
        {"event": "step", "step": "ssh.root-login", "phase": "rolling-back", "index": 1, "of": 1},
        {"event": "progress", "what": "putting files back", "done": 0, "total": 1},
        *({"event": "output", "line": word} for word in given),
        {"event": "step", "step": "ssh.root-login", "phase": "done", "note": "undone"},
        {"event": "done", "exit": 0, "summary": "Undone: ssh.root-login."},
    ]
