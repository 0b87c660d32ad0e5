"""What each command understands, and the help that teaches it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any, Final

from tui.options import add_common

HIDDEN_VERBS: Final = ("keep-packages",)
"""What apt's hook calls, and no person."""


class Resolve(argparse._AppendAction):
    """An option that may be bare or `--option=PATH`; a word after it is never its path."""


def add_all(commands: Any) -> None:
    """Every command, in the order an administrator meets them."""
    add(commands, COMMANDS)


def add(commands: Any, names: Iterable[str]) -> None:
    """These commands."""
    for name in names:
        COMMANDS[name](commands)


def _command(
    commands: Any, name: str, run: str, summary: str, text: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.\n\n{text}".strip(),
        epilog=f"examples:\n{examples}" if examples else None,
    )
    parser.set_defaults(run=run)
    return parser


def _steps_argument(parser: argparse.ArgumentParser, *, nargs: str = "*") -> None:
    parser.add_argument("steps", metavar="STEP", nargs=nargs, help="a step, such as ssh.limits")


def _approval(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--fingerprint",
        metavar="FP",
        help=f"go on only if the {what} still has this fingerprint (exit 3 if it has not)",
    )


def _guarded(parser: argparse.ArgumentParser) -> None:
    """Of what changes how administrators come in."""
    parser.add_argument(
        "--confirm-within",
        metavar="TIME",
        help="how long a guarded change waits for its confirmation (5m): see confirm",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="end where a guarded change waits, instead of waiting with it",
    )


def _confirm(commands: Any) -> None:
    parser = _command(
        commands, "confirm", "tui.cli_confirm:confirm", "keep a guarded change",
        "What changes how administrators come in (SSH, the firewall) is guarded: it is taken back\n"
        "at its deadline, and after a reboot, unless somebody logged in anew over SSH and\n"
        "confirmed it. Leave the session you have as it is, log in from a second terminal, and\n"
        "run this there. `recover` takes the change back at once.\n"
        "Exit 0: kept. 3: nothing waits, or nobody has logged in since.",
        "  sudo harden-tui confirm\n"
        "  sudo harden-tui confirm --extend 10m\n"
        "  sudo harden-tui confirm --status --format json",
    )  # fmt: skip
    parser.add_argument(
        "--status", action="store_true",
        help="only say what waits, and whether anybody logged in; as events until it is decided",
    )  # fmt: skip
    parser.add_argument(
        "--extend", metavar="TIME", help="move the deadline to so long from now (90s, 10m)"
    )
    parser.add_argument(
        "--without-login", action="store_true",
        help="keep it although nobody has logged in since; asks for this host's short name",
    )  # fmt: skip
    parser.add_argument(
        "--word",
        metavar="NAME",
        help="for --without-login without a terminal: this host's short name",
    )
    add_common(parser)


def _check(commands: Any) -> None:
    parser = _command(
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
    _steps_argument(parser)
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
    parser = _command(
        commands, "plan", "tui.cli_check:plan", "show the exact changes that steps would make",
        "Nothing is changed. Exit 0: nothing to change. Exit 1: changes or refusals are shown.",
        "  sudo harden-tui plan ssh.limits\n"
        "  sudo harden-tui plan --out friday.json && sudo harden-tui apply --plan friday.json",
    )  # fmt: skip
    _steps_argument(parser)
    parser.add_argument("--stage", metavar="STAGE", help="only the steps of this stage")
    parser.add_argument("--out", metavar="FILE", help="keep the plan, for apply --plan FILE")
    add_common(parser)


def _apply(commands: Any) -> None:
    parser = _command(
        commands, "apply", "tui.cli_change:apply", "make the changes of steps, and prove them",
        "Shows the changes and asks. Each step is a transaction: what cannot be proved is rolled\n"
        "back. The work goes on if the terminal or the SSH connection is lost (see follow).\n"
        "What would lock an administrator out is refused; --force does it all the same once you\n"
        "typed this host's short name, and the session log says so. Nothing else can be forced.\n"
        "Exit 0: done. 3: refused, nothing changed. 4: failed, rolled back. 5: needs a person.",
        "  sudo harden-tui apply ssh.limits\n"
        "  sudo harden-tui apply ssh.limits --set ssh.limits.max-auth-tries=4 --yes\n"
        "  sudo harden-tui apply --plan friday.json --yes\n"
        "  sudo harden-tui apply --checklist lamp --all --stage pre-install --keep-going",
    )  # fmt: skip
    _steps_argument(parser)
    parser.add_argument("--all", action="store_true", help="every step of the checklist")
    parser.add_argument("--stage", metavar="STAGE", help="with --all: only those of this stage")
    parser.add_argument(
        "-k",
        "--keep-going",
        action="store_true",
        help="go on with the next step where one is refused, or fails and is rolled back",
    )
    parser.add_argument("--plan", metavar="FILE", help="exactly the plan that `plan --out` kept")
    _approval(parser, "plan")
    parser.add_argument(
        "--force",
        action="store_true",
        help="go on although somebody would be locked out; asks for this host's short name",
    )
    parser.add_argument(
        "--word", metavar="NAME", help="for --force without a terminal: this host's short name"
    )
    _guarded(parser)
    add_common(parser)


def _rollback(commands: Any) -> None:
    parser = _command(
        commands, "rollback", "tui.cli_change:rollback", "undo steps or transactions, in any order",
        "Shows what would be undone and asks. Later changes, also those made by hand, are kept.\n"
        "Where the same place was changed since, it is a conflict: --dry-run shows its sides, and\n"
        "nothing is touched (exit 3) until you choose --keep-current, --restore or --merge. Bare,\n"
        "a choice is for every conflict; with =PATH for a single one, which counts first.\n"
        "Exit 0: undone. 3: refused, nothing changed. 4: failed, as before. 5: needs a person.",
        "  sudo harden-tui rollback ssh.limits\n"
        "  sudo harden-tui rollback --all --dry-run\n"
        "  sudo harden-tui rollback ssh.limits --merge --restore=/etc/ssh/sshd_config --dry-run\n"
        "  sudo harden-tui rollback 20261121-093000-1a2b --yes",
    )  # fmt: skip
    parser.add_argument(
        "steps", metavar="STEP|TRANSACTION", nargs="*", help="what to undo (see history list)"
    )
    parser.add_argument("--all", action="store_true", help="undo everything that is not undone")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be undone, and stop"
    )
    for option, meaning in (
        ("--keep-current", "in a conflict, let stand what stands now"),
        ("--restore", "in a conflict, put back what was before; give up what was changed since"),
        ("--merge", "in a conflict, undo what merges; in the same place keep what was changed"),
    ):
        parser.add_argument(option, action=Resolve, metavar="=PATH", help=f"{meaning} (repeatable)")
    _approval(parser, "undo plan")
    _guarded(parser)
    add_common(parser)


def _drift(commands: Any) -> None:
    verbs = ("list", "show", "accept", "restore", "merge")
    parser = _command(
        commands, "drift", "tui.cli_drift:drift",
        "what was changed outside harden-tui, and settling it",
        "list: everything that is not as harden-tui left it. show: with the diffs.\n"
        "accept: it is expected as it stands from now on; the host is not changed, and a later\n"
        "undo keeps it. restore: put back as it was after the last transaction. merge: bring back\n"
        "what steps wrote, and keep every other edit. restore and merge are transactions: proved,\n"
        "or rolled back, and undone by `rollback TRANSACTION`.\n"
        "Exit of list: 0 nothing drifted, 1 something did. Of accept, restore and merge: 0 done,\n"
        "3 refused, nothing changed, 4 failed, rolled back, 5 needs a person.",
        "  sudo harden-tui drift\n"
        "  sudo harden-tui drift show /etc/ssh\n"
        "  sudo harden-tui drift accept /etc/hosts\n"
        "  sudo harden-tui drift merge ssh.limits --dry-run",
    )  # fmt: skip
    parser.add_argument(
        "what", metavar="|".join(verbs), nargs="?", default="list", choices=verbs,
        help="list (default), show, or settle",
    )  # fmt: skip
    parser.add_argument(
        "things", metavar="PATH|STEP", nargs="*",
        help="a file, a directory with all below it, a unit or other thing, or all of a step",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="everything that drifted")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and stop")
    _approval(parser, "plan")
    add_common(parser)


def _window(commands: Any) -> None:
    verbs = ("open", "status", "extend", "close", "undo")
    parser = _command(
        commands, "window", "tui.cli_window:run", "unseal for an update, and seal again",
        "open: takes a restore point, lifts what seals (app.tree), holds needrestart back, and\n"
        "closes by itself at the deadline unless somebody still writes. close: seals again, new\n"
        "files included, checks everything and reports what changed. undo: an update failed; the\n"
        "trees, /etc, packages and dumped databases go back to the start, then it is sealed.\n"
        "Exit of status: 0 a window is open, 1 none. Of the others: 0 done, 3 refused, nothing\n"
        "changed, 4 failed, as before, 5 needs a person: the window stays open.",
        "  sudo harden-tui window open --for 2h --dump idoit_data --dump idoit_system\n"
        "  sudo harden-tui window status\n"
        "  sudo harden-tui window extend --for 1h\n"
        "  sudo harden-tui window close\n"
        "  sudo harden-tui window undo --dry-run",
    )  # fmt: skip
    parser.add_argument(
        "what", metavar="|".join(verbs), nargs="?", default="status",
        choices=(*verbs, *HIDDEN_VERBS), help="status (default), or what to do",
    )  # fmt: skip
    parser.add_argument(
        "--for",
        dest="for_",
        metavar="TIME",
        help="for open (4h if left out) and extend: how long from now: 90m, 4h, 2d",
    )
    parser.add_argument(
        "--dump", metavar="DATABASE", action="append", default=[],
        help="for open: keep the database as it is, for undo (repeatable)",
    )  # fmt: skip
    parser.add_argument("--note", metavar="TEXT", help="for open: why, kept in the session log")
    parser.add_argument(
        "--at-deadline", action="store_true",
        help="for close: only if the deadline has passed and nobody writes, as its timer does",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="for open, close, undo: show what would be done"
    )
    _approval(parser, "undo")
    add_common(parser)


def _recover(commands: Any) -> None:
    parser = _command(
        commands, "recover", "tui.cli_change:recover", "undo a change that was interrupted",
        "A transaction that was cut off (power, kill -9) is rolled back to the state before it.\n"
        "A guarded change that waits is taken back at once. An update window that was cut off:\n"
        "one that was being opened is given up, a close or an undo goes on to its end.\n"
        "Exit 0: done, or nothing was interrupted. 3: refused. 5: needs a person.",
        "  sudo harden-tui recover",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_common(parser)


def _follow(commands: Any) -> None:
    parser = _command(
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
    parser = _command(
        commands, "history", "tui.cli_history:history", "what was changed and undone on this host",
        "list: every transaction, the newest last. show: one with its diffs. verify: whether each\n"
        "restore point is whole. prune: remove old ones, which then cannot be undone any more.\n"
        "Exit 0: done. Of verify: 1 a restore point is damaged.",
        "  sudo harden-tui history\n"
        "  sudo harden-tui history show 20261121-093000-1a2b\n"
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
    parser.add_argument("--yes", action="store_true", help="for prune: do not ask")
    add_common(parser)


def _log(commands: Any) -> None:
    parser = _command(
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
    parser = _command(
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
    parser = _command(
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
    _steps_argument(parser)
    parser.add_argument("--stage", metavar="STAGE", help="only the steps of this stage")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="write it there; - is standard output"
    )
    add_common(parser, more_formats=("markdown",))


def _guide(commands: Any) -> None:
    verbs = ("show", "at", "later", "end", "forget")
    parser = _command(
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
    parser = _command(
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


def _ban(commands: Any) -> None:
    parser = _command(
        commands, "ban", "tui.cli_bans:ban", "have fail2ban shut out an address",
        "Asks first. Your own address, this host's, those of others who are logged in over SSH\n"
        "and those that the jail ignores are refused. fail2ban lets it go after its ban time.\n"
        "Exit 0: done, or banned already. 2: no IP address. 3: refused, nothing changed.",
        "  sudo harden-tui ban 203.0.113.7 --jail sshd",
    )  # fmt: skip
    _banning(parser)


def _unban(commands: Any) -> None:
    parser = _command(
        commands, "unban", "tui.cli_bans:unban", "have fail2ban let an address in again",
        "In every jail that holds it, or in the one that is named. Asks first.\n"
        "Exit 0: let in. 2: no IP address. 3: no jail bans it, or refused; nothing changed.",
        "  sudo harden-tui unban 203.0.113.7",
    )  # fmt: skip
    _banning(parser)


def _banning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", metavar="ADDRESS", help="an IP address")
    parser.add_argument("--jail", metavar="NAME", help="the jail (ban: sshd; unban: all)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_common(parser)


COMMANDS: Final[dict[str, Callable[[Any], None]]] = {
    "check": _check,
    "plan": _plan,
    "apply": _apply,
    "confirm": _confirm,
    "rollback": _rollback,
    "drift": _drift,
    "window": _window,
    "recover": _recover,
    "follow": _follow,
    "history": _history,
    "log": _log,
    "steps": _steps,
    "todo": _todo,
    "guide": _guide,
    "live": _live,
    "ban": _ban,
    "unban": _unban,
}
"""Every command and what adds it, in the order an administrator meets them."""
