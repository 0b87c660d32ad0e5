"""The umask that sessions begin with, as pam_umask(8) gives it to them."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.login_defs import LOGIN_DEFS, LoginDefs
from host.facts.pam_files import PAM_FILES, PLACE, PamLine, edited, parse_pam, with_arguments
from host.facts.shell_umask import SHELL_UMASKS
from snapshots.model import WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

STACKS: Final = ("common-session", "common-session-noninteractive")
_MODULE: Final = "pam_umask.so"
_EXACTLY: Final = "nousergroups"
"""Without it trixie's module gives the group of the same name what the owner has, whatever umask=
says, because of USERGROUPS_ENAB in login.defs."""

_END: Final = "# end of pam-auth-update config"
"""Behind this line pam-auth-update(8) leaves everything alone."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    umask: str


class Umask(Resource):
    """`umask: {umask: "027"}`: sessions begin with it, or with a stricter one."""

    kind: ClassVar[str] = "umask"

    def __init__(self, mask: int) -> None:
        self.mask = mask

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Umask:
        given = msgspec.convert(body, _Body).umask
        if not re.fullmatch(r"0?[0-7]{3}", given):
            raise StepError(f'umask: expected octal digits such as "027", not {given!r}')
        return cls(int(given, 8))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PAM_FILES, LOGIN_DEFS, SHELL_UMASKS)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        for name, text in self._stacks(ctx).items():
            path = f"{PLACE}/{name}"
            mask, origin = effective(parse_pam(path, text), ctx.facts.get(LOGIN_DEFS))
            running = "not set" if mask is None else f"{mask:04o}"
            findings.append(
                self._finding(f"umask ({name})", running, origin or path, self._strict_enough(mask))
            )
        if findings:
            return findings + [
                msgspec.structs.replace(
                    self._finding("umask of a shell", f"{mask:04o}", origin, False),
                    note="the shell sets it again, whatever PAM gave",
                )
                for origin, mask in ctx.facts.get(SHELL_UMASKS)
                if not self._strict_enough(mask)
            ]
        note = f"{PLACE} has no {STACKS[0]}, so PAM gives sessions no umask here"
        return [
            msgspec.structs.replace(
                self._finding("umask", "not set", PLACE, False), note=note, applicable=False
            )
        ]

    def plan(self, ctx: Context) -> Planned:
        defs = ctx.facts.get(LOGIN_DEFS)
        changes = []
        refusals = [
            f"{origin} sets umask {mask:03o} for the shell, whatever PAM gives; nothing was"
            " changed. Take that line out, then look again."
            for origin, mask in ctx.facts.get(SHELL_UMASKS)
            if not self._strict_enough(mask)
        ]
        for name, text in self._stacks(ctx).items():
            path = f"{PLACE}/{name}"
            lines = parse_pam(path, text)
            if self._strict_enough(effective(lines, defs)[0]):
                continue
            ours = [line for line in lines if line.module == _MODULE]
            if ours and ours[-1].is_split:
                refusals.append(
                    f"{ours[-1].origin} goes on over several lines, which is not edited here;"
                    " nothing was changed. Write it in one line, then look again."
                )
            elif ours:
                words = with_arguments(
                    ours[-1].arguments,
                    ["usergroups", _EXACTLY],
                    {"umask": f"{self.mask:04o}"},
                )
                words = [_EXACTLY, *words]
                text = edited(text, ours[-1], words)
            else:
                text = _with_line(
                    text, f"session\toptional\t\t\t{_MODULE} {_EXACTLY} umask={self.mask:04o}"
                )
            changes.append(WriteFile(path=path, content=text.encode("utf-8", "surrogateescape")))
        return Planned(changes=tuple(changes), refusals=tuple(refusals))

    def prove(self, ctx: Context) -> list[Finding]:
        """What a session gets that is opened now: yours, because a person's own group counts."""
        if not self._stacks(ctx):
            return []
        user = ctx.session.user
        name = user if ctx.host.is_root and user not in ("", "root") else "nobody"
        try:
            asked = ctx.host.run(["su", "-s", "/bin/sh", "-c", "umask", name], timeout_s=20)
            running = asked.stdout.strip()
        except HostError as error:
            running = str(error)
        known = re.fullmatch(r"[0-7]{3,4}", running)
        strict = known is not None and self._strict_enough(int(running, 8))
        return [self._finding("umask of a new session", running, f"su {name}", strict)]

    def _stacks(self, ctx: Context) -> dict[str, str]:
        texts = ctx.facts.get(PAM_FILES)
        return {name: texts[f"{PLACE}/{name}"] for name in STACKS if f"{PLACE}/{name}" in texts}

    def _strict_enough(self, mask: int | None) -> bool:
        return mask is not None and mask & self.mask == self.mask

    def _finding(self, setting: str, running: str, origin: str, ok: bool) -> Finding:
        return Finding(
            resource="pam",
            setting=setting,
            expected=f"{self.mask:04o} or stricter",
            running=running,
            persistent=running,
            origin=origin,
            ok=ok,
        )


def effective(lines: list[PamLine], defs: LoginDefs) -> tuple[int | None, str]:
    """The umask a stack gives, and the line that does; `None` where it gives none.

    The last pam_umask counts. Its own umask= counts before UMASK of login.defs; with usergroups, or
    with USERGROUPS_ENAB and no nousergroups, a person's own group gets what the owner has.
    """
    ours = [line for line in lines if (line.type, line.module) == ("session", _MODULE)]
    if not ours:
        return None, ""
    line = ours[-1]
    own = line.value("umask")
    try:
        mask = int(own, 8) if own is not None else int(defs.value("UMASK") or "022", 8)
    except ValueError:
        return None, line.origin
    shared = "usergroups" in line.arguments or (
        _EXACTLY not in line.arguments and defs.value("USERGROUPS_ENAB").lower() == "yes"
    )
    if shared:
        mask = mask & ~0o070 | (mask >> 3 & 0o070)
    return mask, line.origin


def _with_line(text: str, line: str) -> str:
    """`text` with a line behind what pam-auth-update keeps, or at its end."""
    lines = text.split("\n")
    place = next((n for n, one in enumerate(lines, 1) if one.startswith(_END)), None)
    if place is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + f"{line}\n"
    return "\n".join([*lines[:place], line, *lines[place:]])
