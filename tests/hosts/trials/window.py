"""The stage update-window: a backup, the window, packages, the application, restarts, the close."""

from __future__ import annotations

import json
from typing import Any

from tests.hosts.lab import LabHost
from tests.hosts.program import APP, harden
from tests.hosts.trials.backup import DUMPS_STAY, scheduled, without_dumps
from tests.hosts.trials.trial import Answers, Trial
from tests.hosts.trials.updates import (
    let_updates_wait,
    pending,
    replace_a_running_program,
    without_it,
    without_them,
)


def _open(host: LabHost) -> None:
    harden(host, "apply", "--checklist", "i-doit", "app.tree", "--yes")
    harden(host, "window", "open", "--checklist", "i-doit", "--for=2h", "--yes")


def _closed(host: LabHost) -> None:
    _open(host)
    harden(host, "window", "close", "--yes")


def _without_a_window(host: LabHost) -> None:
    if _status(host)["window"] is not None:
        harden(host, "window", "close", "--yes")
    harden(host, "rollback", "--checklist", "i-doit", "app.tree", "--yes")


def _is_open(host: LabHost) -> Answers:
    timer = host.run("systemctl", "is-active", "harden-tui-window.timer", check=False)
    return [
        ("the tree is not sealed", not _is_sealed(host)),
        ("a timer waits for the deadline", timer.stdout.strip() == "active"),
        ("it is open, with two hours left", 7000 < _status(host)["left_s"] <= 7200),
    ]


def _is_closed(host: LabHost) -> Answers:
    timer = host.run("systemctl", "cat", "harden-tui-window.timer", check=False)
    return [
        ("the tree is sealed", _is_sealed(host)),
        ("no timer is left", timer.returncode != 0),
        ("there is a report", _status(host)["last"]["sealed"] == ["app.tree"]),
    ]


def _restarted(host: LabHost) -> Answers:
    pid = host.out("systemctl", "show", "labd.service", "-p", "MainPID", "--value")
    return [
        ("the program runs", pid != "0"),
        ("it is the one on the disk", "deleted" not in host.out("ls", "-l", f"/proc/{pid}/exe")),
    ]


def _is_sealed(host: LabHost) -> bool:
    return "i" in host.out("lsattr", "-d", APP).split()[0]


def _status(host: LabHost) -> dict[str, Any]:
    done = harden(host, "window", "status", "--format", "json", check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


TRIALS = (
    Trial(step="window.backup", holds=scheduled, stays=DUMPS_STAY, tidy=without_dumps),
    Trial(
        step="window.open",
        holds=_is_open,
        furnish=_open,
        tidy=_without_a_window,
        before="pass",
        changes=False,
    ),
    Trial(step="window.system", holds=pending, furnish=let_updates_wait, tidy=without_them),
    Trial(
        step="window.application",
        holds=_is_open,
        furnish=_open,
        tidy=_without_a_window,
        before="pass",
        changes=False,
    ),
    Trial(
        step="window.restart",
        holds=_restarted,
        furnish=replace_a_running_program,
        tidy=without_it,
    ),
    Trial(
        step="window.close",
        holds=_is_closed,
        furnish=_closed,
        tidy=_without_a_window,
        before="pass",
        changes=False,
    ),
)
