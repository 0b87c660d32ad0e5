"""What the commands that change the host understand, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from tui.cli_parts import approval, command, guarded, steps_argument
from tui.options import add_common

HIDDEN_VERBS: Final = ("keep-packages",)
"""What apt's hook calls, and no person."""


BARE = "\0"
"""The value of an option that was given without one: no argument of a program can be this."""


class Resolve(argparse._AppendAction):
    """An option that may be bare or `--option=PATH`; a word after it is never its path.

    Its value is `BARE` then: `--option=` with nothing after it is not the same.
    """


def _apply(commands: Any) -> None:
    parser = command(
        commands, "apply", "tui.cli_change:apply", "make the changes of steps, and prove them",
        "Shows the changes and asks. Each step is a transaction: what cannot be proved is rolled\n"
        "back. The work goes on if the terminal or the SSH connection is lost (see follow).\n"
        "What would lock an administrator out is refused; --force does it all the same once you\n"
        "typed this host's short name, and the session log says so. Nothing else can be forced.\n"
        "Exit 0: done. 3: all or some was refused or not begun; nothing of that was changed.\n"
        "4: failed, rolled back. 5: needs a person.",
        "  sudo harden-tui apply ssh.limits\n"
        "  sudo harden-tui apply ssh.limits --set ssh.limits.max-auth-tries=4 --yes\n"
        "  sudo harden-tui apply --plan friday.json --yes\n"
        "  sudo harden-tui apply --checklist lamp --all --stage pre-install --keep-going",
    )  # fmt: skip
    steps_argument(parser)
    parser.add_argument("--all", action="store_true", help="every step of the checklist")
    parser.add_argument("--stage", metavar="STAGE", help="with --all: only those of this stage")
    parser.add_argument(
        "-k",
        "--keep-going",
        action="store_true",
        help="go on with the next step where one is refused, or fails and is rolled back",
    )
    parser.add_argument("--plan", metavar="FILE", help="exactly the plan that `plan --out` kept")
    approval(parser, "plan")
    parser.add_argument(
        "--force",
        action="store_true",
        help="go on although somebody would be locked out; asks for this host's short name",
    )
    parser.add_argument(
        "--word", metavar="NAME", help="for --force without a terminal: this host's short name"
    )
    guarded(parser)
    add_common(parser)


def _confirm(commands: Any) -> None:
    parser = command(
        commands, "confirm", "tui.cli_confirm:confirm", "keep a guarded change",
        "What changes how administrators come in (SSH, the firewall) is guarded: it is taken back\n"
        "at its deadline, and after a reboot, unless somebody logged in anew over SSH and\n"
        "confirmed it. Leave the session you have as it is, log in from a second terminal, and\n"
        "run this there. `recover` takes the change back at once.\n"
        "Exit 0: kept. 3: nothing waits, nobody has logged in since, or the answer could not be\n"
        "written down. 5: kept, but not all of that could be written down.",
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


def _rollback(commands: Any) -> None:
    parser = command(
        commands, "rollback", "tui.cli_change:rollback", "undo steps or transactions, in any order",
        "Shows what would be undone and asks. Later changes, also those made by hand, are kept.\n"
        "Where the same place was changed since, it is a conflict: --dry-run shows its sides, and\n"
        "nothing is touched (exit 3) until you choose --keep-current, --restore or --merge. Bare,\n"
        "a choice is for every conflict; with =PATH for a single one, which counts first.\n"
        "A file whose kept content is damaged stays only with --keep-current=PATH. --all leaves\n"
        "out what needs something damaged, and says so.\n"
        "Exit 0: undone. 3: all or some was refused or not begun; nothing of that was changed.\n"
        "4: failed, as before. 5: needs a person.",
        "  sudo harden-tui rollback ssh.limits\n"
        "  sudo harden-tui rollback --all --dry-run\n"
        "  sudo harden-tui rollback ssh.limits --merge --restore=/etc/ssh/sshd_config --dry-run\n"
        "  sudo harden-tui rollback 20261121T093000.497508Z-06ea43 --yes",
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
    approval(parser, "undo plan")
    guarded(parser)
    add_common(parser)


def _drift(commands: Any) -> None:
    verbs = ("list", "show", "accept", "restore", "merge")
    parser = command(
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
    approval(parser, "plan")
    add_common(parser)


def _window(commands: Any) -> None:
    verbs = ("open", "status", "extend", "close", "undo")
    parser = command(
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
    approval(parser, "undo")
    add_common(parser)


def _recover(commands: Any) -> None:
    parser = command(
        commands, "recover", "tui.cli_recover:recover", "undo a change that was interrupted",
        "A transaction that was cut off (power, kill -9) is rolled back to the state before it.\n"
        "A guarded change that waits is taken back at once. An update window that was cut off:\n"
        "one that was being opened is given up, a close or an undo goes on to its end.\n"
        "What others edited since in the very files is named before it asks; it is written over,\n"
        "and kept.\n"
        "Exit 0: done, or nothing was interrupted. 3: refused. 5: needs a person.",
        "  sudo harden-tui recover --dry-run\n"
        "  sudo harden-tui recover",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be taken back, and stop"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_common(parser)


def _ban(commands: Any) -> None:
    parser = command(
        commands, "ban", "tui.cli_bans:ban", "have fail2ban shut out an address",
        "Asks first. Your own address, this host's, those of others who are logged in over SSH\n"
        "and those that the jail ignores are refused. fail2ban lets it go after its ban time.\n"
        "Exit 0: done, or banned already. 2: no IP address. 3: refused, nothing changed.",
        "  sudo harden-tui ban 203.0.113.7 --jail sshd",
    )  # fmt: skip
    _banning(parser)


def _unban(commands: Any) -> None:
    parser = command(
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
    "apply": _apply,
    "confirm": _confirm,
    "rollback": _rollback,
    "drift": _drift,
    "window": _window,
    "recover": _recover,
    "ban": _ban,
    "unban": _unban,
}
