"""A program that answers like the hands, with recorded answers: what the screen is tested with.

Run as `python recorded_hands.py COMMAND …`; it prints what `answers/<command>.json` or
`answers/<command>.jsonl` beside it holds.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.tui import recorded_conflict, recorded_window

SSH = {
    "id": "ssh.root-login",
    "stage": "pre-install",
    "title": "Refuse root logins over SSH",
    "why": "Break-in scripts try root first; a named administrator with sudo leaves a trace.",
    "breaks": "Whoever still logs in as root.",
    "source": "i-doit, Security and Protection: Securing SSH",
    "references": {"cis-debian12": ["5.1.20"], "lynis": ["SSH-7408"], "bsi": ["SYS.1.3.A8"]},
    "guard": "login",
}

STEPS: list[dict[str, Any]] = [
    SSH,
    {
        "id": "ssh.key-only", "stage": "pre-install", "title": "Log in with keys only",
        "why": "A password can be guessed; a key cannot.", "breaks": "Password logins.",
        "guard": "login",
    },
    {
        "id": "ssh.limits", "stage": "pre-install", "title": "Limit tries and sessions over SSH",
        "why": "Fewer tries slow down guessing.", "breaks": "Nothing known.",
        "parameters": {
            "max-auth-tries": {
                "kind": "integer", "help": "Tries per connection before sshd hangs up.",
                "default": 3, "minimum": 1, "maximum": 6,
            },
            "login-grace-time": {
                "kind": "integer", "help": "Seconds to log in.", "default": 30, "minimum": 5,
            },
        },
        "values": {"max-auth-tries": 3, "login-grace-time": 30},
    },
    {
        "id": "minimal.services", "stage": "pre-install", "title": "Stop services nobody needs",
        "why": "What does not run cannot be attacked.", "breaks": "Printing.",
    },
    {
        "id": "apache.banner", "stage": "pre-install", "title": "Tell less about the web server",
        "why": "Versions in headers pick the exploit.", "breaks": "Nothing known.",
    },
    {
        "id": "kernel.sysctl", "stage": "pre-install", "title": "Kernel and network parameters",
        "why": "Defaults are made for every machine, not for a server.", "breaks": "Containers.",
    },
    {
        "id": "backup.schedule", "stage": "pre-install", "title": "A backup job exists",
        "why": "Without a backup there is no way back.", "breaks": "Nothing.",
    },
    {
        "id": "app.tree", "stage": "post-install", "title": "Seal the application's tree",
        "why": "Code that cannot be written cannot be replaced.", "breaks": "Updates in place.",
    },
]  # fmt: skip

STATUSES = {
    "ssh.root-login": "fail", "ssh.key-only": "pass", "ssh.limits": "fail",
    "minimal.services": "unknown", "apache.banner": "pass", "kernel.sysctl": "waived",
    "backup.schedule": "manual", "app.tree": "not-applicable",
}  # fmt: skip

FINDINGS = {
    "ssh.root-login": [
        {
            "resource": "sshd", "setting": "PermitRootLogin", "expected": "no", "running": "yes",
            "persistent": "yes", "ok": False,
            "origin": "/etc/ssh/sshd_config.d/50-cloud-init.conf:1",
        }
    ],
    "ssh.limits": [
        {
            "resource": "sshd", "setting": "MaxAuthTries", "expected": "at most 3", "running": "6",
            "persistent": "6", "ok": False, "origin": "the daemon's default",
        },
        {
            "resource": "sshd", "setting": "LoginGraceTime", "expected": "at most 30",
            "running": "30", "persistent": "30", "ok": True, "origin": "/etc/ssh/sshd_config:32",
        },
    ],
    "minimal.services": [
        {
            "resource": "unit", "setting": "cups.service", "expected": "stopped and disabled",
            "ok": None, "note": "Only root may ask this.",
        }
    ],
}  # fmt: skip

DIFF = (
    "--- /dev/null\n+++ /etc/ssh/sshd_config.d/00-harden-tui-ssh.root-login.conf\n"
    "@@ -0,0 +1,2 @@\n+# Written by harden-tui for ssh.root-login.\n+PermitRootLogin no\n"
)


LEFT = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"

DRIFT = {
    "since": "2026-11-20T10:15:03.000001Z", "transaction": "20261120-101500-000001-ab12",
    "problem": "",
    "things": [
        {
            "domain": "files", "key": LEFT, "kind": "edited",
            "when": "2026-11-20T11:02:40Z", "owner": "root", "steps": ["ssh.limits"],
            "transactions": ["20261120-101500-000001-ab12"],
            "verdicts": [{
                "step": "ssh.limits", "status": "fail", "decided_by": [f"MaxAuthTries 6: {LEFT}:1"],
            }],
            "choices": ["accept", "restore", "merge"],
            "diff": f"--- {LEFT}\n+++ {LEFT}\n@@ -1,2 +1,3 @@\n-MaxAuthTries 3\n+MaxAuthTries 6\n"
            " LoginGraceTime 30\n+PrintMotd no\n",
        },
        {
            "domain": "files", "key": "/etc/cups/cupsd.conf", "kind": "edited",
            "when": "2026-11-21T03:11:09Z", "owner": "root", "package": "cups-daemon",
            "explained": "upgrade of cups-daemon 2.4.2-3 -> 2.4.2-4",
            "choices": ["accept", "restore"],
            "diff": "--- /etc/cups/cupsd.conf\n+++ /etc/cups/cupsd.conf\n@@ -1 +1 @@\n"
            "-LogLevel warn\n+LogLevel info\n",
        },
    ],
}  # fmt: skip

SETTLE = {
    "schema": "harden-tui/drift-plan/1", "choice": "merge", "steps": ["ssh.limits"],
    "items": [{
        "domain": "files", "key": LEFT, "steps": ["ssh.limits"],
        "diff": f"--- {LEFT}\n+++ {LEFT}\n@@ -1,3 +1,3 @@\n-MaxAuthTries 6\n+MaxAuthTries 3\n"
        " LoginGraceTime 30\n PrintMotd no\n",
    }],
    "commands": ["sshd -t", "systemctl reload ssh.service"], "fingerprint": "b" * 64,
}  # fmt: skip


def result(step: dict[str, Any], status: str = "") -> dict[str, Any]:
    return {
        "id": step["id"], "stage": step["stage"], "title": step["title"],
        "status": status or STATUSES[step["id"]], "findings": FINDINGS.get(step["id"], []),
        "references": step.get("references", {}), "seconds": 0.01,
    }  # fmt: skip


def plan(ids: list[str]) -> dict[str, Any]:
    return {
        "schema": "harden-tui/plan/1", "checklist": "lamp", "fingerprint": "f" * 64,
        "steps": [
            {
                "id": step["id"], "title": step["title"], "fingerprint": "e" * 64,
                "changes": [{
                    "summary": f"create /etc/ssh/sshd_config.d/00-harden-tui-{step['id']}.conf "
                    "(mode 0600)",
                    "diff": DIFF, "command": "",
                }],
                "then": ["sshd -t", "systemctl reload ssh.service"],
                "refusals": [], "irreversible": [],
                "notes": ["Logged in over SSH now: alice from 10.77.1.1."],
            }
            for step in STEPS if step["id"] in ids
        ],
    }  # fmt: skip


TRANSACTION = {
    "id": "20261120-101500-000001-ab12", "kind": "apply", "steps": ["ssh.key-only"],
    "title": "Log in with keys only", "status": "committed",
    "started": "2026-11-20T10:15:00.000001Z", "ended": "2026-11-20T10:15:03.000001Z",
    "user": "alice",
}  # fmt: skip

OTHERS = {
    **TRANSACTION, "id": "20261120-101600-000001-cd34", "steps": ["ssh.limits"], "user": "bob",
    "started": "2026-11-20T10:16:00.000001Z", "ended": "2026-11-20T10:16:03.000001Z",
}  # fmt: skip


AT_WORK = {
    **OTHERS, "id": "20261120-101700-000001-ef56", "kind": "rollback", "status": "open",
    "undoes": OTHERS["id"], "started": "2026-11-20T10:17:00.000001Z", "ended": "",
}  # fmt: skip

WAITS = {**OTHERS, "status": "pending"}


def there(name: str) -> bool:
    """Whether the file is there that this variable names: what goes on elsewhere by now."""
    return Path(os.environ.get(name, "/nonexistent")).exists()


def history() -> dict[str, Any]:
    if there("RECORDED_DAMAGED"):
        print("harden-tui: The record x.json cannot be read, nor its copy.", file=sys.stderr)
        sys.exit(3)
    answer: dict[str, Any] = {"schema": "harden-tui/history/1", "transactions": [TRANSACTION]}
    if there("RECORDED_OWN"):
        answer |= {"transactions": [], "own_record": True}
    elif there("RECORDED_AT_WORK"):
        answer["transactions"] += [OTHERS, AT_WORK]
        run = os.environ.get("RECORDED_RUN", "r9")
        answer["at_work"] = {"what": "rollback", "pid": 7, "since": "", "run": run}
    elif there("RECORDED_WAITS"):
        answer["transactions"] += [WAITS]
        answer["waits"] = ["ssh.limits"]
    elif there("RECORDED_OTHERS"):
        answer["transactions"] += [OTHERS]
    return answer


def others() -> bool:
    """Whether another session has changed the host by now."""
    return there("RECORDED_OTHERS")


SESSIONS = {
    "schema": "harden-tui/log/1",
    "sessions": [
        {"id": "20261120-101400-1", "start": "2026-11-20T10:14:00.000001Z",
         "end": "2026-11-20T10:20:00.000001Z", "user": "alice", "host": "web1", "entries": 2,
         "counts": {"apply": 1, "waive": 1}},
    ],
}  # fmt: skip

ENTRIES = {
    "schema": "harden-tui/log-entries/1",
    "session": "20261120-101400-1",
    "entries": [
        {"seq": 1, "time": "2026-11-20T10:15:03.000001Z", "session": "20261120-101400-1",
         "user": "alice", "host": "web1", "kind": "apply", "prev": "0", "hash": "1",
         "fields": {"step": "ssh.key-only", "title": "Log in with keys only", "status": "pass",
                    "transaction": "20261120-101500-000001-ab12", "values": {}}},
        {"seq": 2, "time": "2026-11-20T10:20:00.000001Z", "session": "20261120-101400-1",
         "user": "alice", "host": "web1", "kind": "waive", "prev": "1", "hash": "2",
         "fields": {"step": "kernel.sysctl", "reason": "containers need forwarding"}},
    ],
}  # fmt: skip

VERDICT = {"schema": "harden-tui/log-verify/1", "verdict": {"ok": True, "entries": 2}}

UNDO = {
    "schema": "harden-tui/undo/1",
    "plans": [
        {
            "transaction": "20261120-101500-000001-ab12", "steps": ["ssh.key-only"],
            "items": [
                {
                    "domain": "files", "how": "restore",
                    "key": "/etc/ssh/sshd_config.d/00-harden-tui-ssh.key-only.conf",
                    "diff": "--- a\n+++ /dev/null\n@@ -1 +0,0 @@\n-PasswordAuthentication no\n",
                }
            ],
            "commands": ["sshd -t", "systemctl reload ssh.service"], "fingerprint": "d" * 64,
        }
    ],
    "fingerprint": "d" * 64,
}  # fmt: skip

TODO = {
    "schema": "harden-tui/todo/1", "host": "web1", "checklist": "lamp", "checked": 8, "left": 3,
    "made": "2026-11-20T10:16:51Z", "practice": False,
    "items": [
        {"kind": "attest", "title": "A backup job exists", "step": "backup.schedule",
         "stage": "pre-install", "why": ["Who restores it, and when was it tried?"],
         "do": "harden-tui steps attest backup.schedule --note '…'"},
        {"kind": "refused", "title": "Stop services nobody needs", "step": "minimal.services",
         "stage": "pre-install", "why": ["cups.service is needed by print-queue.service."],
         "do": "harden-tui apply minimal.services"},
        {"kind": "open", "title": "Refuse root logins over SSH", "step": "ssh.root-login",
         "stage": "pre-install", "do": "harden-tui apply ssh.root-login",
         "put_off": "alice, 2026-11-19T16:03:00Z"},
        {"kind": "left-out", "title": "Kernel and network parameters", "step": "kernel.sysctl",
         "stage": "pre-install", "why": ["containers need forwarding (alice, 2026-11-20)"],
         "do": "harden-tui steps unwaive kernel.sysctl"},
    ],
}  # fmt: skip

LIVE = {
    "schema": "harden-tui/live/1",
    "services": [
        {"unit": "apache2.service", "description": "The Apache HTTP Server", "active": "active",
         "sub": "running", "enabled": "enabled", "main_pid": 410},
        {"unit": "cups.service", "description": "CUPS Scheduler", "active": "active",
         "sub": "running", "enabled": "enabled", "main_pid": 402},
        {"unit": "ssh.service", "description": "OpenBSD Secure Shell server", "active": "active",
         "sub": "running", "enabled": "enabled", "main_pid": 388},
        {"unit": "logrotate.service", "description": "Rotate log files", "active": "failed",
         "sub": "failed", "enabled": "static"},
        {"unit": "apt-daily.service", "description": "Daily apt download activities",
         "active": "inactive", "sub": "dead", "enabled": "static"},
    ],
    "ports": [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "process": "sshd", "pid": 388,
         "unit": "ssh.service", "exposed": True, "expected": True, "step": "firewall.ufw"},
        {"protocol": "tcp", "address": "*", "port": 80, "process": "apache2", "pid": 410,
         "unit": "apache2.service", "exposed": True, "expected": True, "step": ""},
        {"protocol": "tcp", "address": "0.0.0.0", "port": 631, "process": "cupsd", "pid": 402,
         "unit": "cups.service", "exposed": True, "expected": False, "step": "minimal.services"},
        {"protocol": "tcp", "address": "127.0.0.1", "port": 3306, "process": "mariadbd",
         "pid": 512, "unit": "mariadb.service", "exposed": False, "expected": None},
    ],
}  # fmt: skip


def changed(second: int) -> dict[str, Any]:
    """Three rows differ from one second to the next: a unit's state and two ports' processes."""
    live: dict[str, Any] = json.loads(json.dumps(LIVE))
    live["services"][1]["sub"] = ("running", "exited")[second % 2]
    live["ports"][0]["process"] = ("sshd", "sshd-session")[second % 2]
    live["ports"][1]["process"] = ("apache2", "nginx")[second % 2]
    return live


GUARD = os.environ.get("RECORDED_GUARD", "")
"""What waits: "waiting" and "login" since before the screen opened, "kept" and "taken-back" by an
apply of its own."""


def guard(phase: str) -> dict[str, Any]:
    """Four minutes and twelve seconds are left, by the clock that stands still at 1000 s."""
    clock_s = time.clock_gettime(time.CLOCK_BOOTTIME) if "RECORDED_CLOCK" in os.environ else 1000.0
    login = "bob from 10.77.1.7 port 51234" if phase == "login" else ""
    reasons = ["ssh.limits was taken back. Nobody confirmed it before its deadline."]
    return {
        "event": "guard", "step": "ssh.limits", "phase": phase, "until_s": clock_s + 252,
        "deadline": "2026-11-20T10:21:03+00:00", "attempt": "ssh -p 2222 alice@10.77.1.2",
        "login": login, "reasons": reasons if phase == "taken-back" else [],
    }  # fmt: skip


def say(*events: Any) -> None:
    for event in events:
        print(json.dumps(event), flush=True)


def main(argv: list[str]) -> int:
    words = [word for word in argv if not word.startswith("--")]
    command = words[0]
    if command == "check":
        ids = [step["id"] for step in STEPS]
        say({"event": "started", "run": "c1", "command": "check", "steps": ids})
        if GUARD in ("waiting", "login"):
            say(guard(GUARD))
        say(*recorded_window.of_check())
        say(*({"event": "finding", "result": result(step)} for step in STEPS))
        say({"event": "drift", "drift": DRIFT, "asked": ids})
        say({"event": "done", "exit": 1, "summary": "4 of 8 done."})
        return 1
    if command == "confirm" and "--status" in argv:
        say(guard(GUARD or "waiting"))
        time.sleep(600)
    elif command == "confirm":
        print("harden-tui: The change was taken back already.", file=sys.stderr)
        return 3
    elif command == "steps":
        say({"schema": "harden-tui/steps/1", "checklist": "lamp", "steps": STEPS})
    elif command == "plan":
        say(plan(words[1:]))
        return 1
    elif command == "history" and words[1] == "show":
        touched = {
            "domain": "files",
            "key": "/etc/ssh/sshd_config.d/00-harden-tui-ssh.key-only.conf",
        }
        since = {"undone": ["ssh.limits"], "deltas": [touched]} if others() else None
        deltas = [{**touched, "diff": DIFF}]
        say({"schema": "harden-tui/transaction/1", "deltas": deltas, "since": since})
    elif command == "rollback" and "--dry-run" not in argv:
        say(*recorded_conflict.events(argv))
    elif command == "rollback" and "RECORDED_CONFLICT" in os.environ:
        answer = recorded_conflict.undo(argv)
        say(answer)
        return 3 if any(i["how"] == "conflict" for i in answer["plans"][0]["items"]) else 0
    elif command == "rollback":
        say(UNDO)
    elif command == "drift":
        say({**SETTLE, "choice": words[1]})
    elif command == "recover":
        over = [TRANSACTION["id"]], ["/etc/ssh/sshd_config"]
        names = "transactions", "written_over"
        say({"schema": "harden-tui/recover-plan/1", **dict(zip(names, over, strict=True))})
    elif command == "log":
        say({"list": SESSIONS, "show": ENTRIES, "verify": VERDICT}[words[1]])
    elif command == "history":
        say(history())
    elif command == "apply":
        step = next(step for step in STEPS if step["id"] == words[1])
        say(
            {"event": "started", "run": "r1", "command": "apply", "steps": [step["id"]]},
            {"event": "step", "step": step["id"], "phase": "applying", "index": 1, "of": 1},
            {"event": "progress", "what": "capturing the state before"},
            {"event": "command", "command": "sshd -t"},
            {"event": "command", "command": "systemctl reload ssh.service"},
            *([guard("waiting"), guard("login"), guard(GUARD)] if GUARD else []),
            {"event": "output", "line": "a line with \x1b[31mcolours\x1b[0m of its own"},
            {"event": "finding", "result": result(step, "pass")},
            {"event": "step", "step": step["id"], "phase": "done", "note": "pass"},
            {
                "event": "done",
                "exit": 4 if GUARD == "taken-back" else 0,
                "summary": f"Applied and proved: {step['id']}.",
            },
        )
    elif command == "guide":
        say({"schema": "harden-tui/guides/1", "guides": []})
    elif command == "todo":
        say(TODO)
        return 1
    elif command == "window":
        return recorded_window.answer(argv, say)
    elif command == "live":
        for second in itertools.count():
            say(changed(second) if "RECORDED_CHANGES" in os.environ else LIVE)
            time.sleep(1)
    elif command == "follow" and words[1:] == ["r9"]:
        say(
            {"event": "started", "run": "r9", "command": "rollback", "steps": ["ssh.limits"]},
            {"event": "step", "step": "ssh.limits", "phase": "rolling-back"},
        )
        while there("RECORDED_AT_WORK"):
            time.sleep(0.05)
        say({"event": "done", "exit": 0, "summary": "Undone: ssh.limits."})
    elif command == "follow":
        print("harden-tui: There is no run yet.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
