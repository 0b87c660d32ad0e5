"""Settings of the SSH server, proven on a private copy of its configuration before they change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.sshd import (
    DEFAULTS_FILE,
    SOCKET,
    SSHD_DAEMON,
    SSHD_EFFECTIVE,
    SSHD_ORIGINS,
    SSHD_TREE,
    SSHD_UNREAD,
    UNIT,
    Daemon,
    Effective,
    read_tree,
)
from host.facts.sshd_tree import Directive, Tree
from snapshots.model import Activation, RunCommand, Validation, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.sshd_draft import draft, drop_in_path, kept_settings
from steps.sshd_merged import Merged, merged

_SAME = {"prohibit-password": "without-password"}
_FORWARDING = (
    "x11forwarding", "allowagentforwarding", "allowtcpforwarding", "allowstreamlocalforwarding",
    "permittunnel",
)  # fmt: skip
"""What DisableForwarding switches off, though `sshd -T` goes on printing their own values."""

_SILENT = {"debianbanner": "yes", "allowgroups": "", "allowusers": ""}
"""What holds where `sshd -T` does not print an option: bookworm's never tells DebianBanner, and
lists of who may log in are left out while they are empty."""

_SOCKET_ONLY = ("port", "listenaddress", "addressfamily")
"""Options that ssh.socket takes over: systemd holds the listening socket then."""


class Sshd(Resource):
    """`sshd: {Option: expectation, …}`: what holds for everyone, `Match` blocks included."""

    kind: ClassVar[str] = "sshd"

    def __init__(self, step_id: str, wanted: Mapping[str, Expectation]) -> None:
        self.step_id = step_id
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Sshd:
        if not isinstance(body, dict) or not body:
            raise StepError("expected options of sshd_config with what each must be")
        for option in body:
            if not re.fullmatch(r"[A-Za-z0-9]+", str(option)):
                raise StepError(f"{option!r} is no option of sshd_config")
        return cls(step_id, {str(name): Expectation.of(value) for name, value in body.items()})

    def facts(self) -> tuple[Fact[Any], ...]:
        return (SSHD_DAEMON, SSHD_EFFECTIVE, SSHD_ORIGINS, SSHD_TREE, SSHD_UNREAD)

    def observe(self, ctx: Context) -> list[Finding]:
        effective = ctx.facts.get(SSHD_EFFECTIVE)
        tree = ctx.facts.get(SSHD_TREE)
        daemon = ctx.facts.get(SSHD_DAEMON)
        waiting = _not_in_force(ctx)
        findings = []
        for option, expectation in self.wanted.items():
            value = _value(effective, tree, option)
            findings.append(self._finding(ctx, daemon, tree, option, expectation, value, waiting))
            findings += [
                Finding(
                    resource=f"sshd {_match_name(override)}",
                    setting=option,
                    expected=_expected(option, expectation),
                    running="" if waiting else override.value,
                    persistent=override.value,
                    origin=override.origin,
                    ok=False,
                    note=f"{_match_name(override)} at {override.origin} overrides this",
                )
                for override in _wrong_overrides(tree, effective, option, expectation)
            ]
        return findings

    def _finding(
        self, ctx: Context, daemon: Daemon, tree: Tree, option: str, expectation: Expectation,
        value: str | None, waiting: str,
    ) -> Finding:  # fmt: skip
        ok: bool | None
        if value is None:
            ok, note = None, f"this version of sshd does not tell its {option}"
        elif not satisfied(option, expectation, value):
            ok, note = False, waiting
        else:
            ok, note = (None, waiting) if waiting else (True, "")
        if daemon.state == "stopped" and not note:
            note = "sshd is not running; this holds when it starts"
        if daemon.by_socket and option.lower() in _SOCKET_ONLY:
            ok, note = None, f"{SOCKET} listens for sshd, which makes this option meaningless"
        in_force = daemon.state == "running" and not waiting
        return Finding(
            resource="sshd",
            setting=option,
            expected=_expected(option, expectation),
            running=value or "" if in_force else "",
            persistent=value or "",
            origin=_origin(ctx, tree, daemon, option),
            ok=ok,
            note=note,
        )

    def plan(self, ctx: Context) -> Planned:
        effective = ctx.facts.get(SSHD_EFFECTIVE)
        tree = ctx.facts.get(SSHD_TREE)
        daemon = ctx.facts.get(SSHD_DAEMON)
        globally = {
            option: expectation.target
            for option, expectation in self.wanted.items()
            if not satisfied(option, expectation, _value(effective, tree, option) or "")
        }
        in_match = {
            (override.file, override.line): expectation.target
            for option, expectation in self.wanted.items()
            for override in _wrong_overrides(tree, effective, option, expectation)
        }
        if not globally and not in_match:
            return self._only_reload(ctx, daemon)
        forced = _set_on_command_line(daemon, globally)
        if forced:
            return Planned(
                refusals=(
                    f"{', '.join(forced)} is set on sshd's command line (SSHD_OPTS in "
                    f"{DEFAULTS_FILE}), which no configuration file can override: remove it there, "
                    f"`systemctl restart {UNIT}`, then apply again.",
                )
            )
        keep = {
            keyword: value
            for keyword, value in kept_settings(tree, self.step_id).items()
            if keyword not in globally
        }
        read = partial(read_tree, ctx.host, daemon.main_file)
        edits = draft(self.step_id, tree, read, globally=globally, in_match=in_match, keep=keep)
        planned = Planned(
            changes=tuple(self._write(path, text) for path, text in sorted(edits.items())),
            validations=(Validation(("sshd", "-t")),),
            activations=activations(daemon),
            notes=tuple(self._notes(tree, daemon, edits)),
        )
        return self._proven(ctx, daemon, planned, edits)

    def _write(self, path: str, text: str) -> WriteFile:
        content = text.encode("utf-8", "surrogateescape")
        mode = 0o600 if path == drop_in_path(self.step_id) else 0o644
        return WriteFile(path=path, content=content, mode=mode)

    def _only_reload(self, ctx: Context, daemon: Daemon) -> Planned:
        """The files are right; what may lack is that sshd reads them."""
        waiting = _not_in_force(ctx)
        if not waiting or daemon.state != "running":
            return Planned()
        reload = RunCommand(
            argv=("systemctl", daemon.refresh, UNIT), why="let sshd read its changed configuration"
        )
        planned = Planned(changes=(reload,), validations=(Validation(("sshd", "-t")),))
        return self._proven(ctx, daemon, planned, {})

    def _proven(
        self, ctx: Context, daemon: Daemon, planned: Planned, edits: Mapping[str, str]
    ) -> Planned:
        """`planned`, or refusals where the merged result would not be what is wanted."""
        try:
            with merged(ctx.host, daemon, edits) as result:
                problem = result.problem()
                if problem:
                    reasons = [f"sshd would not accept the merged configuration: {problem}"]
                else:
                    reasons = self._shortcomings(ctx, result)
        except HostError as error:
            reasons = [str(error)]
        return msgspec.structs.replace(planned, refusals=tuple(reasons))

    def _shortcomings(self, ctx: Context, result: Merged) -> list[str]:
        everyone = result.everyone()
        views: list[tuple[str, Effective]] = [("everyone", everyone)]
        if ctx.session.user:
            views.append((ctx.session.user, result.connection(ctx.session.user, ctx.session)))
        reasons = [
            f"The merged configuration would still give {who} {option} {value} "
            f"instead of {_expected(option, expectation)}; nothing was changed. "
            f"See {_where(result.tree, option)}."
            for option, expectation in self.wanted.items()
            for who, view in views
            if (value := _value(view, result.tree, option)) is not None
            and not satisfied(option, expectation, value)
        ]
        for option, expectation in self.wanted.items():
            for override in _wrong_overrides(result.tree, everyone, option, expectation):
                reasons.append(
                    f"{_match_name(override)} at {override.origin} would still override {option}; "
                    "nothing was changed. Edit that line, then apply again."
                )
        return list(dict.fromkeys(reasons))

    def _notes(self, tree: Tree, daemon: Daemon, edits: Mapping[str, str]) -> list[str]:
        notes = [
            f"{path} itself is edited, because a drop-in could not win over it."
            for path in sorted(edits)
            if path != drop_in_path(self.step_id)
        ]
        notes += [f"{path} is included but cannot be read." for path in tree.missing]
        if daemon.state == "on-demand":
            notes.append(f"{SOCKET} starts sshd at the next login, with the new configuration.")
        elif daemon.by_socket:
            notes.append(
                f"{SOCKET} started sshd, so it is restarted instead of reloaded; "
                "open sessions go on."
            )
        return notes


def satisfied(option: str, expectation: Expectation, value: str) -> bool:
    """Whether sshd's `value` is what is expected, or, for MaxStartups, stricter."""
    if option.lower() == "maxstartups" and isinstance(expectation.is_, str):
        have, bound = _startups(value), _startups(expectation.is_)
        if have and bound:
            return have[0] <= bound[0] and have[1] >= bound[1] and have[2] <= bound[2]
    return expectation.satisfied_by(_SAME.get(value.lower(), value))


def _startups(value: str) -> tuple[int, int, int] | None:
    """ "10:30:60": refuse 30 % from 10 unauthenticated connections on, all from 60 on."""
    found = re.fullmatch(r"(\d+)(?::(\d+):(\d+))?", value.strip())
    if not found:
        return None
    start = int(found.group(1))
    return start, int(found.group(2) or 100), int(found.group(3) or start)


def _expected(option: str, expectation: Expectation) -> str:
    stricter = " or stricter" if option.lower() == "maxstartups" and expectation.is_ else ""
    return f"{expectation}{stricter}"


def _value(effective: Effective, tree: Tree, option: str) -> str | None:
    """What holds of `option`; `None` where sshd does not tell."""
    if _forwarding_off(effective, tree, option):
        return "no"
    name = option.lower()
    if name in effective or name not in _SILENT:
        return effective.get(name)
    deciding = tree.deciding(option)
    return deciding.value.lower() if deciding else _SILENT[name]


def _forwarding_off(effective: Effective, tree: Tree, option: str) -> bool:
    return (
        option.lower() in _FORWARDING
        and effective.get("disableforwarding") == "yes"
        and not tree.overrides("DisableForwarding")
    )


def _wrong_overrides(
    tree: Tree, effective: Effective, option: str, expectation: Expectation
) -> list[Directive]:
    if _forwarding_off(effective, tree, option):
        return []
    return [d for d in tree.overrides(option) if not satisfied(option, expectation, d.value)]


def _match_name(directive: Directive) -> str:
    return f"Match {directive.match}"


def _where(tree: Tree, option: str) -> str:
    deciding = tree.deciding(option)
    return deciding.origin if deciding else tree.main


def _origin(ctx: Context, tree: Tree, daemon: Daemon, option: str) -> str:
    if _set_on_command_line(daemon, {option: ""}):
        return DEFAULTS_FILE
    always = next((d for d in tree.overrides(option) if d.match.lower() == "all"), None)
    if always is not None:
        return always.origin
    try:
        origin = ctx.facts.get(SSHD_ORIGINS).get(option.lower(), "")
    except FactUnavailable:
        origin = ""
    return origin or "built-in default"


def _set_on_command_line(daemon: Daemon, options: Mapping[str, str]) -> list[str]:
    named = {
        re.split(r"[=\s]", argument.strip(), maxsplit=1)[0].lower() for argument in daemon.arguments
    }
    return [option for option in options if option.lower() in named]


def _not_in_force(ctx: Context) -> str:
    """Why the running sshd may follow older files; empty where it follows the present ones."""
    try:
        unread = ctx.facts.get(SSHD_UNREAD)
    except FactUnavailable as error:
        return str(error)
    if not unread:
        return ""
    return (
        f"{', '.join(unread)} changed after sshd last read its configuration: "
        f"not in force before `systemctl {ctx.facts.get(SSHD_DAEMON).refresh} {UNIT}`"
    )


def activations(daemon: Daemon) -> tuple[Activation, ...]:
    """What makes the running sshd read its files again."""
    if daemon.state == "running":
        return (Activation(how=daemon.refresh, unit=UNIT),)
    return ()
