"""Shells of people: files of their own are nobody else's, and an idle prompt ends by itself.

A login shell reads /etc/profile.d, a bash without login /etc/bash.bashrc; what is run over SSH, by
cron or under sudo reads neither, and keeps what PAM gave it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.shell_session import BASHRC, PARTS, SHELL_SESSION, Idle, Said, ShellSession, last
from snapshots.model import Change, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

_UMASK: Final = """\
if [ "$(id -u)" -ge 1000 ]; then
    umask {umask:03o}
fi
"""
"""Root and the accounts of services keep what PAM gave them: what they write others must read."""

_IDLE: Final = """\
# In tmux and screen a prompt may stand: whoever leaves those detaches.
if [ -z "${{TMUX-}}${{STY-}}" ]; then
    case "$(readonly -p)" in
    *TMOUT[=]*) ;;
    *)
        readonly TMOUT={idle_s}
        ;;
    esac
fi
"""


_TELL: Final = """\
echo "$(umask) ${TMOUT:-0}"
case "$(readonly -p)" in *" TMOUT="*) echo fixed ;; *) echo loose ;; esac
"""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`idle_s`: after how many seconds an idle prompt ends; 0 leaves that alone."""

    umask: str
    idle_s: int


class ShellSessions(Resource):
    """`shell-session: {umask: "077", idle-s: 900}`."""

    kind: ClassVar[str] = "shell-session"

    def __init__(self, step_id: str, umask: int, idle_s: int) -> None:
        self.step_id = step_id
        self.umask = umask
        self.idle_s = idle_s
        self.path = f"{PARTS}/zz-harden-tui-{step_id.replace('.', '-')}.sh"
        self.begin = f"# Written by harden-tui for the step {step_id}.\n"
        self.end = f"# End of {step_id}.\n"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ShellSessions:
        given = msgspec.convert(body, _Body)
        if not re.fullmatch(r"0?[0-7]{3}", given.umask):
            raise StepError(f'umask: expected octal digits such as "077", not {given.umask!r}')
        if given.idle_s < 0:
            raise StepError("idle-s: expected seconds, or 0 for never")
        return cls(step_id, int(given.umask, 8), given.idle_s)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (SHELL_SESSION,)

    def observe(self, ctx: Context) -> list[Finding]:
        session: ShellSession = ctx.facts.get(SHELL_SESSION)
        findings = [self._umask("umask of a login shell", last(session.login()), PARTS)]
        if BASHRC in session.texts:
            said = last(session.interactive())
            findings.append(self._umask("umask of a bash without login", said, BASHRC))
        if self.idle_s:
            findings.append(self._idle(self._idles(session)))
        return findings

    def plan(self, ctx: Context) -> Planned:
        session: ShellSession = ctx.facts.get(SHELL_SESSION)
        if all(finding.ok for finding in self.observe(ctx)):
            return Planned()
        text = self._text()
        planned = ShellSession({**session.texts, self.path: text})
        refusals = [
            f"{idle.origin} sets TMOUT{'' if idle.text is None else f'={idle.text}'} for good, and"
            " comes first; nothing was changed. Take that line out, then look again."
            for idle in sorted(self._idles(planned), key=lambda idle: idle.origin)
            if self.idle_s and idle.fixed and not self._soon(idle.seconds)
        ]
        changes: list[Change] = []
        if session.texts.get(self.path) != text:
            changes.append(WriteFile(path=self.path, content=text.encode(), mode=0o644))
        bashrc = session.texts.get(BASHRC)
        said = last(session.interactive())
        if bashrc is not None and not self._strict(said):
            block = self.begin + _UMASK.format(umask=self.umask) + self.end
            changes.append(WriteFile(path=BASHRC, content=self._with(bashrc, block)))
        return Planned(changes=tuple(changes), refusals=tuple(refusals))

    def prove(self, ctx: Context) -> list[Finding]:
        """What a login shell that is opened now says, of you where you are no root."""
        user = ctx.session.user
        if not ctx.host.is_root or ctx.host.is_practice or user in ("", "root"):
            return []
        argv = ["su", "--login", "--shell", "/bin/bash", "--command", _TELL]
        try:
            answer = ctx.host.run([*argv, user], timeout_s=20).stdout.split()[-3:]
        except HostError as error:
            answer = [str(error)]
        umask, idle, fixed = [*answer, "", "", ""][:3]
        mask = int(umask, 8) if re.fullmatch(r"[0-7]{3,4}", umask) else None
        said = None if mask is None else Said(mask, f"su --login {user}")
        findings = [self._umask("umask of a new login shell", said, f"su --login {user}")]
        if self.idle_s:
            known = Idle(idle, fixed == "fixed") if idle != "0" else Idle()
            findings.append(self._idle([known], f"su --login {user}"))
        return findings

    def _text(self) -> str:
        """Our part of the profile."""
        text = self.begin + _UMASK.format(umask=self.umask)
        return text + _IDLE.format(idle_s=self.idle_s) if self.idle_s else text

    def _idles(self, session: ShellSession) -> Collection[Idle]:
        """The condition of our own part is none here: in tmux and screen a prompt may stand."""
        there = session.texts.get(self.path, "")
        ours = re.sub(r"\d+", "0", there) == re.sub(r"\d+", "0", self._text())
        return session.idle(sure=(self.path,) if ours else ())

    def _with(self, text: str, block: str) -> bytes:
        """`text` with the block in the place of an older one, or at its end."""
        start = text.find(self.begin)
        stop = text.find(self.end, start)
        if start >= 0 and stop >= 0:
            text = text[:start] + block + text[stop + len(self.end) :]
        else:
            text += ("" if text.endswith("\n") or not text else "\n") + block
        return text.encode("utf-8", "surrogateescape")

    def _strict(self, said: Said | None) -> bool:
        return said is not None and said.value & self.umask == self.umask

    def _soon(self, seconds: int) -> bool:
        return 0 < seconds <= self.idle_s

    def _umask(self, setting: str, said: Said | None, where: str) -> Finding:
        running = "what PAM gave" if said is None else f"{said.value:04o}"
        return _finding(
            setting, f"{self.umask:04o} or stricter", running, said.origin if said else where,
            self._strict(said),
        )  # fmt: skip

    def _idle(self, idles: Collection[Idle], where: str = PARTS) -> Finding:
        """`idles`: what TMOUT can be; each of them must do."""
        bad = [idle for idle in idles if not (idle.fixed and self._soon(idle.seconds))]
        shown = max(bad or idles, key=lambda idle: (idle.fixed, idle.seconds, idle.origin))
        running = shown.text if shown.text not in (None, "", "0") else "never"
        if shown.text is not None and not shown.fixed:
            running += ", which a person may change"
        if bad and len(idles) > 1:
            running += ", under a condition"
        return _finding(
            "seconds until an idle shell ends", f"at most {self.idle_s}, for good", running,
            shown.origin or where, not bad,
        )  # fmt: skip


def _finding(setting: str, expected: str, running: str, origin: str, ok: bool) -> Finding:
    return Finding(
        resource="shell",
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin=origin,
        ok=ok,
    )
