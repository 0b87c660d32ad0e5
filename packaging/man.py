"""Write docs/harden-tui.8, the manual page, from the command line's own parser.

`python packaging/man.py` writes it; `--check` fails where the one in docs/ is stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/harden-tui.8"

sys.path.insert(0, str(ROOT))

from tui.cli import EXAMPLES, INTRODUCTION, build_parser  # noqa: E402
from tui.version import VERSION  # noqa: E402

FILES = (
    ("/etc/harden-tui/config.yaml", "Settings: checklist, state-dir, log-dir, keep-days, "
     "confirm-within. Must belong to root and be writable by no one else."),
    ("/etc/harden-tui/steps.d, /etc/harden-tui/checklists.d", "Steps and checklists of this site."),
    ("/var/lib/harden-tui", "Restore points, transactions, answers and runs; root only."),
    ("/var/log/harden-tui", "The session log, and debug.log with the details of failures."),
)  # fmt: skip


def page() -> str:
    """The whole page as roff."""
    parser = build_parser()
    common, own = _options(parser)
    lines = [
        f'.TH HARDEN\\-TUI 8 "" "harden\\-tui {VERSION}" "System Administration"',
        ".SH NAME",
        "harden\\-tui \\- harden a web server step by step, with a preview and a way back",
        ".SH SYNOPSIS",
        ".B harden\\-tui",
        "[\\fIOPTION\\fR...] [\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]]",
        ".SH DESCRIPTION",
        *_paragraphs(INTRODUCTION),
        ".SH OPTIONS",
        *_entries(own),
        ".SS Understood by every command",
        *_entries(common),
        ".SH COMMANDS",
    ]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                lines += _command(name, command)
    examples, _, statuses = EXAMPLES.partition("exit status:")
    lines += [".SH EXIT STATUS", *_verbatim(statuses)]
    lines += [".SH EXAMPLES", *_verbatim(examples.removeprefix("examples:"))]
    lines.append(".SH FILES")
    for place, what in FILES:
        lines += [".TP", f".I {_roff(place)}", _roff(what)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP", ".B NO_COLOR", "No colours, if set to anything.",
        ".TP", ".B XDG_STATE_HOME", "Where state lies for everyone but root.",
        ".SH SEE ALSO",
        ".BR sshd_config (5),", ".BR ufw (8),", ".BR fail2ban\\-client (1),", ".BR needrestart (1)",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _command(name: str, command: argparse.ArgumentParser) -> list[str]:
    usage = " ".join(command.format_usage().split()).removeprefix("usage: ")
    positional = [a for a in command._actions if not a.option_strings]
    _, own = _options(command)
    words = [str(a.metavar or a.dest) for a in positional]
    lines = [f'.SS "{_roff(" ".join([name, *words]))}"']
    lines += _paragraphs(command.description or usage)
    lines += _entries([a for a in own if a.help])
    if command.epilog:
        lines += _verbatim(command.epilog.removeprefix("examples:"))
    return lines


def _options(
    parser: argparse.ArgumentParser,
) -> tuple[list[argparse.Action], list[argparse.Action]]:
    """(those understood everywhere, the parser's own)."""
    common: list[argparse.Action] = []
    own: list[argparse.Action] = []
    for group in parser._action_groups:
        everywhere = (group.title or "").startswith("options understood")
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            if not isinstance(action, argparse._HelpAction):
                (common if everywhere else own).append(action)
    return common, own


def _entries(actions: list[argparse.Action]) -> list[str]:
    lines = []
    for action in actions:
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in action.option_strings)
        value = ""
        if action.nargs != 0:
            choices = "|".join(map(str, action.choices or ()))
            value = f"\\fI{_roff(str(action.metavar or choices or action.dest.upper()))}\\fR"
        entry = (
            f"{names} {value}".strip()
            .replace(" \\fI=PATH", "[\\fI=PATH")
            .replace("=PATH\\fR", "=PATH\\fR]")
        )
        lines += [".TP", entry, _roff(action.help or "")]
    return lines


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        lines += [".PP", *(_roff(line) for line in paragraph.splitlines())]
    return lines


def _verbatim(text: str) -> list[str]:
    body = [_roff(line) for line in text.strip("\n").splitlines()]
    return [".PP", ".nf", *body, ".fi"]


def _roff(text: str) -> str:
    """`text` with what roff would take for its own made plain."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("%%", "%")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = page()
    if arguments.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.name} is stale: run python packaging/man.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
