"""What the commands that look, and keep what you decide, understand, and their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tui.cli_parts import command, steps_argument
from tui.options import add_common


def _check(commands: Any) -> None:
    parser = command(
        commands, "check", "tui.cli_check:check", "ask the host whether it is as the steps want it",
        "Asks the daemons for what is in effect now and for what will be after a restart.\n"
        "Exit 0: all good. Exit 1: something fails, is unknown or waits for a person.\n"
        "What was changed outside harden-tui since its last transaction is named below (see\n"
        "drift); that alone does not change the exit status.",
        "  sudo harden-tui check\n"
        "  sudo harden-tui check ssh.limits --verbose\n"
        "  sudo harden-tui check --stage pre-install --format json | jq .counts\n"
        "  sudo harden-tui check --mail root",
    )  # fmt: skip
    steps_argument(parser)
    parser.add_argument("--stage", metavar="STAGE", help="only the steps of this stage")
    parser.add_argument("--verbose", "-v", action="store_true", help="show every setting")
    parser.add_argument(
        "--mail",
        metavar="ADDRESS",
        help="mail what is worse, better or drifted since the last mail, and only that",
    )
    parser.add_argument(
        "--mail-always", action="store_true", help="with --mail: also that nothing is new"
    )
    parser.add_argument(
        "--monitoring",
        choices=("nagios", "checkmk"),
        help="the one line that a monitoring system reads, with figures; for nagios exit 0 (OK),"
        " 1 (open or drifted), 2 (something fails) or 3 (could not be asked)",
    )
    add_common(parser)


def _plan(commands: Any) -> None:
    parser = command(
        commands, "plan", "tui.cli_check:plan", "show the exact changes that steps would make",
        "Nothing is changed. Exit 0: nothing to change. Exit 1: changes or refusals are shown.",
        "  sudo harden-tui plan ssh.limits\n"
        "  sudo harden-tui plan --out friday.json && sudo harden-tui apply --plan friday.json",
    )  # fmt: skip
    steps_argument(parser)
    parser.add_argument("--stage", metavar="STAGE", help="only the steps of this stage")
    parser.add_argument("--out", metavar="FILE", help="keep the plan, for apply --plan FILE")
    add_common(parser)


def _follow(commands: Any) -> None:
    parser = command(
        commands, "follow", "tui.cli_follow:follow", "show the events of a run, from its start",
        "Also while it goes on, and also long after. Every command that changes the host prints\n"
        "the name of its run first. Exit: as the work itself did.",
        "  sudo harden-tui follow\n"
        "  sudo harden-tui follow 20261121-093000123-1a2b --format events",
    )  # fmt: skip
    parser.add_argument(
        "run_id", metavar="RUN", nargs="?", default="", help="the latest if left out"
    )
    add_common(parser)


def _history(commands: Any) -> None:
    parser = command(
        commands, "history", "tui.cli_history:history", "what was changed and undone on this host",
        "list: every transaction, the newest last. show: one with its diffs. verify: whether each\n"
        "restore point is whole. prune: let go of old restore points and diffs of what is over;\n"
        "all that can be undone stays.\n"
        "Exit 0: done. Of verify: 1 a restore point is damaged.",
        "  sudo harden-tui history\n"
        "  sudo harden-tui history show 20261121T093000.497508Z-06ea43\n"
        "  sudo harden-tui history prune --keep-days 90 --dry-run\n"
        "  sudo harden-tui history prune --keep-days 90 --yes",
    )  # fmt: skip
    parser.add_argument(
        "what",
        metavar="list|show|verify|prune",
        nargs="?",
        default="list",
        choices=("list", "show", "verify", "prune"),
        help="list (default), show one with its diffs, verify all restore points, prune old ones",
    )
    parser.add_argument("id", metavar="TRANSACTION", nargs="?", default="", help="for show")
    parser.add_argument(
        "--keep-days", metavar="N", type=int, help="for prune: keep what is younger"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="for prune: show what would go, and stop"
    )
    parser.add_argument("--yes", action="store_true", help="for prune: do not ask")
    add_common(parser)


def _log(commands: Any) -> None:
    parser = command(
        commands, "log", "tui.logs:log", "the session log: who did what and when",
        "Each entry carries the hash of the one before it: verify finds what was altered.\n"
        "Exit 0: done. Of verify: 1 something was altered.",
        "  sudo harden-tui log\n"
        "  sudo harden-tui log show\n"
        "  sudo harden-tui log export --as html --output report.html\n"
        "  sudo harden-tui log export - > report.md",
    )  # fmt: skip
    parser.add_argument(
        "what",
        metavar="list|show|export|verify",
        nargs="?",
        default="list",
        choices=("list", "show", "export", "verify"),
        help="list sessions (default), show or export one, verify the whole log",
    )
    parser.add_argument(
        "session", metavar="SESSION", nargs="?", default="", help="the latest if left out"
    )
    parser.add_argument("--all", action="store_true", help="for show and export: every session")
    parser.add_argument("--output", "-o", metavar="FILE", help="for export; - is standard output")
    parser.add_argument(
        "--as",
        dest="form",
        choices=("markdown", "json", "html"),
        help="for export; told from FILE's ending if left out",
    )
    add_common(parser)


def _steps(commands: Any) -> None:
    parser = command(
        commands, "steps", "tui.cli_steps:steps", "the catalogue, and what you decide about steps",
        "waive: this host does without the step, for a reason; unwaive takes that back.\n"
        "attest: you looked yourself. set: keep a parameter's value for later checks.\n"
        "Exit 0: done. 2: no such step or value. 3: refused, nothing changed.",
        "  harden-tui steps\n"
        "  harden-tui steps show ssh.limits\n"
        "  sudo harden-tui steps waive ssh.limits --reason 'jump host' --until 2027-01-31\n"
        "  sudo harden-tui steps attest backup.schedule --note 'restored by hand on Monday'\n"
        "  sudo harden-tui steps set ssh.limits.max-auth-tries=4",
    )  # fmt: skip
    verbs = ("list", "show", "waive", "unwaive", "attest", "set")
    parser.add_argument(
        "what", metavar="|".join(verbs), nargs="?", default="list", choices=verbs,
        help="list (default) the checklist's steps, show one, or decide about one",
    )  # fmt: skip
    parser.add_argument("items", metavar="STEP", nargs="*", help="a step; for set STEP.PARAM=VALUE")
    parser.add_argument("--reason", metavar="TEXT", help="for waive: why")
    parser.add_argument("--note", metavar="TEXT", help="for attest: what you saw")
    parser.add_argument("--until", metavar="DATE", help="for waive and attest: ends on YYYY-MM-DD")
    parser.add_argument("--all", action="store_true", help="for list: the whole catalogue")
    add_common(parser)


def _todo(commands: Any) -> None:
    parser = command(
        commands, "todo", "tui.cli_todo:todo_list", "what is left to a person on this host",
        "Made from a check of this moment: values to choose, what only a person can answer for,\n"
        "steps that are refused and why, what could not be measured, what is open and was put\n"
        "off, and what was left out on purpose. Nothing is changed.\n"
        "The format is told from the ending of --output where --format says nothing: .md, .json,\n"
        ".txt. Exit 0: nothing is left. Exit 1: something is.",
        "  sudo harden-tui todo\n"
        "  sudo harden-tui todo --stage pre-install --format markdown --output todo.md\n"
        "  sudo harden-tui todo --format json | jq '.items[] | select(.kind==\"refused\")'",
    )  # fmt: skip
    steps_argument(parser)
    parser.add_argument("--stage", metavar="STAGE", help="only the steps of this stage")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="write it there; - is standard output"
    )
    add_common(parser, more_formats=("markdown",))


def _guide(commands: Any) -> None:
    verbs = ("show", "at", "later", "end", "forget")
    parser = command(
        commands, "guide", "tui.cli_todo:guide", "where guided runs through a stage stand",
        "The screen leads through a stage (key l) and keeps here where it stopped, so that\n"
        "anybody resumes there.\n"
        "show: where each run stands (default). at STEP: it stands at this step. later STEP: the\n"
        "step is put off. end STAGE: the run is over. forget STAGE: begin anew.\n"
        "Exit 0: done. 2: no such step or stage.",
        "  sudo harden-tui guide\n"
        "  sudo harden-tui guide forget pre-install",
    )  # fmt: skip
    parser.add_argument(
        "what", metavar="|".join(verbs), nargs="?", default="show", choices=verbs,
        help="show (default), or keep where a run stands",
    )  # fmt: skip
    parser.add_argument("item", metavar="STEP|STAGE", nargs="?", default="", help="which")
    add_common(parser)


def _live(commands: Any) -> None:
    parser = command(
        commands, "live", "tui.live:live", "services, listening ports and failed logins, now",
        "On a terminal and with --format events the answer is repeated each second.\n"
        "Failed logins (SSH, TYPO3, i-doit, web server) by address and by account: n/m is how\n"
        "near an address is to the limit of its jail. Ctrl+C ends it. Exit 0: answered.",
        "  sudo harden-tui live --once\n"
        "  sudo harden-tui live --once --window 24h\n"
        "  sudo harden-tui live --once --format json | jq '.ports[] | select(.expected|not)'",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="answer once and end")
    parser.add_argument(
        "--all", action="store_true", help="also units that are neither running nor enabled"
    )
    parser.add_argument(
        "--window",
        metavar="TIME",
        help="how far to look back for failed logins: 15m, 1h (default), 24h, 7d",
    )  # fmt: skip
    add_common(parser)


COMMANDS: Final[dict[str, Callable[[Any], None]]] = {
    "check": _check,
    "plan": _plan,
    "follow": _follow,
    "history": _history,
    "log": _log,
    "steps": _steps,
    "todo": _todo,
    "guide": _guide,
    "live": _live,
}
