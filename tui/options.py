"""The options that every command knows, resolved: which host, which state, which values."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from steps.guard_settings import WINDOW_S, seconds_of
from tui.failures import Scene, Stop, usage
from tui.paths import default_state_dir, is_root, log_dir_for

if TYPE_CHECKING:
    from tui.config import Config

Format = Literal["text", "json", "events", "markdown"]
"""Markdown only where a command says so (`add_common`)."""

DEFAULT_CHECKLIST = "lamp"
LARGEST_VALUES_BYTES = 1024 * 1024

_GO_BY_RECORDS: Final = frozenset(
    {"rollback", "recover", "confirm", "follow", "history", "log", "window"}
)
"""Commands that work on what is recorded, whatever the files of the site say now."""

_SETTING = re.compile(r"([a-z0-9]+\.[a-z0-9]+(?:-[a-z0-9]+)*)\.([a-z0-9-]+)")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, with every default filled in.

    `values`: step id -> parameter -> value as given (not yet converted). `from_stdin` names, as
    "step.parameter", those that came by standard input: only these may be secrets, and once the
    catalogue is known (`tui.session`) it names the secrets alone. `usual_checklist`: the one that
    is meant on this host where none is named. `words`: what was typed after the program's name.
    """

    practice: bool
    state_dir: Path
    log_dir: Path
    checklist: str
    format: Format = "text"
    values: dict[str, dict[str, Any]] = {}
    from_stdin: frozenset[str] = frozenset()
    keep_days: int = 365
    confirm_within_s: int = WINDOW_S
    user: str = ""
    usual_checklist: str = DEFAULT_CHECKLIST
    words: tuple[str, ...] = ()

    @property
    def has_other_checklist(self) -> bool:
        """Whether a command has to name the checklist to mean the same one."""
        return self.checklist != self.usual_checklist

    @property
    def practice_root(self) -> Path:
        """The directory that plays the practice host's file system."""
        return self.state_dir / "host"

    @property
    def program(self) -> str:
        """What a person types to start harden-tui for the same host and state."""
        words = ["harden-tui", "--practice"] if self.practice else ["sudo", "harden-tui"]
        if self.state_dir != default_state_dir(practice=self.practice):
            words += ["--state-dir", str(self.state_dir)]
        return shlex.join(words)

    def arguments(self) -> list[str]:
        """The options that another harden-tui needs to see the same host and state."""
        return [
            *(["--practice"] if self.practice else []),
            "--state-dir",
            str(self.state_dir),
            "--checklist",
            self.checklist,
        ]


def add_common(
    parser: argparse.ArgumentParser, *, top: bool = False, more_formats: tuple[str, ...] = ()
) -> None:
    """Give `parser` the options that are understood everywhere, before and after the command."""
    group = parser.add_argument_group("options understood by every command")
    missing = argparse.SUPPRESS
    where = "top_" if top else ""
    group.add_argument(
        "--practice", action="store_true", default=missing,
        help="work on a pretend host in a directory of your own; nothing real is touched",
    )  # fmt: skip
    group.add_argument(
        "--checklist", metavar="NAME", default=missing,
        help="which checklist: server, lamp (default), i-doit, typo3, or one of your own",
    )  # fmt: skip
    group.add_argument(
        "--set", dest=f"{where}set", metavar="STEP.PARAM=VALUE", action="append", default=missing,
        help="a value for a step's parameter (repeatable); never a secret",
    )  # fmt: skip
    group.add_argument(
        "--values", metavar="FILE", default=missing,
        help="values from a YAML or JSON file; - reads standard input, the way for secrets",
    )  # fmt: skip
    group.add_argument(
        "--format", choices=("text", "json", "events", *more_formats), default=missing,
        help="text for people, json for one document, events for one JSON object a line",
    )  # fmt: skip
    group.add_argument(
        "--state-dir", metavar="DIR", default=missing,
        help="where restore points and answers lie (as root /var/lib/harden-tui)",
    )  # fmt: skip


def resolve(arguments: argparse.Namespace, scene: Scene) -> Options:
    """The options behind a parsed command line. Raises `Stop` or `StepError` (exit 2)."""
    practice = bool(getattr(arguments, "practice", False))
    given = getattr(arguments, "state_dir", "")
    settings = _settings(arguments, practice=practice, given=given)
    chosen = given or (settings.state_dir if is_root() else "")
    state_dir = Path(os.path.abspath(chosen)) if chosen else default_state_dir(practice=practice)
    log_dir = log_dir_for(state_dir, chosen=bool(chosen), practice=practice)
    if settings.log_dir and is_root() and not given:
        log_dir = Path(settings.log_dir)
    scene.log_dir = log_dir
    values: dict[str, dict[str, Any]] = {}
    from_stdin: set[str] = set()
    file = getattr(arguments, "values", "")
    if file:
        values = read_values(file)
        if file == "-":
            for step, chosen_values in values.items():
                from_stdin |= {f"{step}.{name}" for name in chosen_values}
                scene.secrets += [str(value) for value in chosen_values.values()]
    for setting in [*getattr(arguments, "top_set", []), *getattr(arguments, "set", [])]:
        step, name, value = split_setting(setting)
        values.setdefault(step, {})[name] = value
        from_stdin.discard(f"{step}.{name}")
    usual = settings.checklist or DEFAULT_CHECKLIST
    return Options(
        practice=practice,
        state_dir=state_dir,
        log_dir=log_dir,
        checklist=getattr(arguments, "checklist", "") or usual,
        format=getattr(arguments, "format", "text"),
        values=values,
        from_stdin=frozenset(from_stdin),
        keep_days=settings.keep_days,
        confirm_within_s=seconds_of(settings.confirm_within) or WINDOW_S,
        user=who(),
        usual_checklist=usual,
        words=tuple(getattr(arguments, "words", ())),
    )


def _settings(arguments: argparse.Namespace, *, practice: bool, given: str) -> Config:
    """What the host has settled. What takes back or keeps needs nothing of it but where the state
    lies: a mistake in it is said, and left out, where that is `given`."""
    from tui import config

    if practice:  # it shows the same on every machine: the real host's settings are not asked
        return config.Config()
    # `window open` needs the checklist, and `history prune` must know for how long all is kept.
    needed = getattr(arguments, "what", "") in ("open", "prune")
    if needed or getattr(arguments, "command", "") not in _GO_BY_RECORDS:
        return config.load()
    from steps.resource import StepError
    from tui.out import note

    try:
        return config.load()
    except (Stop, StepError) as error:
        said = str(error)
    if not given:
        raise usage(
            f"{said.rstrip('.')}. This needs no settings but where the state lies: add --state-dir"
            f" {default_state_dir(practice=False)}, or whichever directory they name."
        )
    note(f"left out here, because no settings are needed: {said}")
    return config.Config()


def split_setting(setting: str) -> tuple[str, str, str]:
    """`step.parameter=value` in its three parts. Raises `Stop` that never repeats the value."""
    left, equals, value = setting.partition("=")
    match = _SETTING.fullmatch(left.strip())
    if not equals or not match:
        shown = left if equals or match else f"{left[:20]}{'…' if len(left) > 20 else ''}"
        raise usage(
            f"--set {shown}: expected STEP.PARAM=VALUE, for example --set ssh.limits."
            "max-auth-tries=3."
        )
    return match.group(1), match.group(2), value


def read_values(file: str) -> dict[str, dict[str, Any]]:
    """Values from a file or, for "-", from standard input.

    Either `ssh.limits: {max-auth-tries: 3}` or `ssh.limits.max-auth-tries: 3`, in YAML or JSON.
    Raises `Stop` or `StepError` with file, line and field, never with a value.
    """
    from steps.yaml_lines import read_entries

    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            if sys.stdin is None or sys.stdin.closed:
                raise usage("--values -: standard input is closed.")
            content = sys.stdin.buffer.read(LARGEST_VALUES_BYTES + 1)
        else:
            with open(file, "rb") as stream:
                content = stream.read(LARGEST_VALUES_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise usage(f"--values {file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise usage(f"{name}:1: not UTF-8 text.") from None
    if len(content) > LARGEST_VALUES_BYTES:
        raise usage(f"{name}: longer than {LARGEST_VALUES_BYTES} bytes.")
    entries = read_entries(name, text)
    if not entries:
        return {}
    if len(entries) > 1 or not isinstance(entries[0].data, dict):
        raise usage(f"{name}:1: expected one mapping of steps to values.")
    return _nested(name, entries[0].data)


def _nested(name: str, data: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for key, value in data.items():
        match = _SETTING.fullmatch(str(key))
        if isinstance(value, dict):
            values.setdefault(str(key), {}).update({str(k): v for k, v in value.items()})
        elif match:
            values.setdefault(match.group(1), {})[match.group(2)] = value
        else:
            raise usage(
                f"{name}: {str(key)[:60]}: expected STEP: {{PARAM: VALUE}} or STEP.PARAM: VALUE."
            )
    return values


def who() -> str:
    """The person at the keyboard: who called sudo, or who logged in, or who we are."""
    import pwd

    if is_root() and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    number = os.getuid()
    try:
        logged_in = int(Path("/proc/self/loginuid").read_text())
        if logged_in != 0xFFFFFFFF:  # the kernel's "not set"
            number = logged_in
    except (OSError, ValueError):
        pass
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
