"""The command line: its parser, and the way from a command to the module that does it.

Modules are imported only for the command that is asked for: `--help` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

from tui import garbage
from tui.failures import USAGE, Scene, Stop, usage
from tui.version import VERSION

if TYPE_CHECKING:
    from tui.options import Options

INTRODUCTION = """\
Harden a Debian or Ubuntu web server step by step. Every step explains itself, checks what is
really in effect, shows the exact change before it is made, proves the result, and can be undone
at any later time, in any order.

Without a command the terminal UI opens. Every command shows what it would do and asks before it
changes the host; nothing is changed by looking.
"""

EXAMPLES = """\
examples:
  harden-tui --practice               look around on a pretend host, no root needed
  sudo harden-tui check               what is open on this host
  sudo harden-tui plan ssh.limits     the exact change a step would make
  sudo harden-tui apply ssh.limits    make it (asks first), prove it, or go back
  sudo harden-tui rollback ssh.limits
  harden-tui COMMAND --help           more about a command

exit status:
  0  good
  1  something is open, or would change
  2  wrong usage, or an invalid file
  3  refused or not begun: nothing of that was changed
  4  failed, rolled back
  5  failed, needs a person
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse's own, which has no way to write `--option[=PATH]`."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return super()._format_action_invocation(action).replace(" =PATH", "[=PATH]")

    def _format_usage(self, *arguments: Any) -> str:
        return super()._format_usage(*arguments).replace(" =PATH", "[=PATH]")


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors that suggest what was probably meant."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", Help)
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, but a bare `--restore` does not take the next word for its path."""
        from tui.cli_parsers_change import BARE, Resolve

        bare = {o for a in self._actions if isinstance(a, Resolve) for o in a.option_strings}
        if args is not None and bare:
            for word, after in pairwise(args):
                if word in bare and after.startswith("/"):
                    self.error(f"A choice for a path is written {word}={after}")
            args = [f"{word}={BARE}" if word in bare else word for word in args]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises `Stop` (exit 2) with one line."""
        raise Stop(USAGE, f"{self._clearer(message)} See {self.prog} --help.")

    def _clearer(self, message: str) -> str:
        wrong = re.search(r"argument (\S+): invalid choice: '(.*?)' \(choose from", message)
        if wrong:
            what, given = wrong.groups()
            return self._wrong_choice(what, given)
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            first = unknown.split()[0]
            if first in self._known_options():
                return f"{first} belongs to another command."
            return f"{first} is not understood here.{nearest(first, self._known_options())}"
        return message[:1].upper() + message[1:] + "."

    def _wrong_choice(self, what: str, given: str) -> str:
        from tui.cli_parsers_change import HIDDEN_VERBS

        for action in self._actions:
            names = [*action.option_strings, action.metavar, action.dest]
            if action.choices is not None and (what in names or what in "/".join(map(str, names))):
                known = [str(one) for one in action.choices if one not in HIDDEN_VERBS]
                kind = f"{what} " if action.option_strings else ""
                problem = "is none of" if action.option_strings else "is no command; there are"
                return f"{kind}{given!r} {problem} {', '.join(known)}.{nearest(given, known)}"
        return f"{what}: {given!r} is not understood."

    def _known_options(self) -> list[str]:
        known = [option for action in self._actions for option in action.option_strings]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    known += [o for a in parser._actions for o in a.option_strings]
        return known


def nearest(given: str, known: Sequence[str]) -> str:
    """ " Did you mean 'check'?", or nothing."""
    import difflib

    near = difflib.get_close_matches(given, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def build_parser() -> Parser:
    """The whole command line as data: help, completions and the manual page come from it."""
    from tui import cli_parsers
    from tui.options import add_common

    parser = Parser(prog="harden-tui", description=INTRODUCTION, epilog=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"harden-tui {VERSION}")
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh"),
        help='print completions for a shell: eval "$(harden-tui --print-completion bash)"',
    )
    add_common(parser, top=True)
    cli_parsers.add_all(_commands_of(parser))
    return parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """What was typed. Raises `SystemExit` for what ends here, and `Stop` (exit 2) for mistakes.

    Most command lines name one command or none, and are understood by a parser that knows no
    other, 3 ms sooner. What it does not understand is for the whole one to help with.
    """
    from tui import cli_parsers
    from tui.options import add_common

    parser = Parser(prog="harden-tui", add_help=False)
    add_common(parser, top=True)
    parser.set_defaults(print_completion=None)
    named = [name for name in cli_parsers.COMMANDS if name in arguments]
    cli_parsers.add(_commands_of(parser), named)
    try:
        return parser.parse_args(arguments)
    except Stop:
        return build_parser().parse_args(arguments)


def _commands_of(parser: Parser) -> Any:
    return parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=Parser
    )


def dispatch(arguments: list[str], scene: Scene, screen: Callable[[Options], int]) -> int:
    """Do what the arguments say, or open the screen where they name no command.

    Returns the exit status. Raises `Stop` and what commands raise.
    """
    for argument in arguments:
        if not argument.isascii():
            _refuse_other_encodings(argument)
    try:
        parsed = parse(arguments)
    except SystemExit as stop:  # --help and --version end here; mistakes raise Stop
        return int(stop.code or 0)
    parsed.words = arguments
    if parsed.print_completion:
        return _print_completion(build_parser(), parsed.print_completion)
    if parsed.command in ("apply", "rollback") and parsed.yes:
        from tui import launch

        with launch.ahead():
            return _do(parsed, scene, screen)
    return _do(parsed, scene, screen)


def _do(parsed: argparse.Namespace, scene: Scene, screen: Callable[[Options], int]) -> int:
    from tui.options import resolve

    options = resolve(parsed, scene)
    if parsed.command is None:
        return screen(options)
    module, _, name = parsed.run.partition(":")
    command: Callable[..., int] = getattr(importlib.import_module(module), name)
    garbage.begin()
    return command(options, parsed)


def _refuse_other_encodings(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError:
        import shlex

        from host.names import visible

        shown = shlex.quote(visible(argument))
        raise usage(
            f"The argument {argument!a} is not UTF-8 text; what drifted is named as it is shown:"
            f" {shown}."
        ) from None


def _print_completion(parser: Parser, shell: str) -> int:
    import shtab

    from tui.out import Out

    Out().raw(shtab.complete(parser, shell))
    return 0
