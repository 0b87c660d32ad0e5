"""AppArmor on in the kernel, and its profiles enforced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, apparmor
from host.facts.apparmor import APPARMOR, ENABLED, PROFILES
from host.facts.packages import PACKAGES
from snapshots.model import Activation, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import plan_install

ENFORCE = "aa-enforce"
TOOLS = "apparmor-utils"

SAID = {
    "unconfined": "unconfined: they only give a program a name",
    "user": "ask the user whether to allow it",
    "prompt": "ask the user whether to allow it",
}
"""Of modes that are neither enforced nor only reporting. A profile with flags=(prompt) asks a
program of the user, and refuses where none answers; the kernel calls that mode "user"."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The YAML body. `complain`: profiles that may go on only reporting."""

    complain: list[str] = []


class AppArmor(Resource):
    """`apparmor: {complain: [php-fpm]}`."""

    kind: ClassVar[str] = "apparmor"

    def __init__(self, complain: Sequence[str]) -> None:
        self.complain = frozenset(complain)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> AppArmor:
        return cls(msgspec.convert(body, Body).complain)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APPARMOR, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        found = ctx.facts.get(APPARMOR)
        findings = [_kernel(found)]
        if found.enabled:
            findings.append(self._profiles(found))
        return findings

    def plan(self, ctx: Context) -> Planned:
        found = ctx.facts.get(APPARMOR)
        if found.enabled is not True:
            return Planned() if found.container else Planned(refusals=(_boot(found),))
        wrong = self._wrong(found)
        if not wrong:
            return Planned()
        lost = [name for name in wrong if name not in found.files]
        if lost:
            return Planned(
                refusals=(
                    f"The profile {lost[0]} only reports, but no file in /etc/apparmor.d says so "
                    "(a link in force-complain, or another program, made it); nothing was changed."
                    " Enforce it by hand, or name it in the parameter complain.",
                )
            )
        tools = Planned()
        if ctx.host.which(ENFORCE) is None:
            tools = plan_install(ctx, (TOOLS,))
            if tools.refusals:
                return tools
        files = sorted({found.files[name] for name in wrong})
        return Planned(
            changes=(
                *tools.changes,
                RunCommand(argv=(ENFORCE, *files), why=f"enforce {', '.join(wrong)}"),
            ),
            activations=(Activation("reload", unit="apparmor.service"),),
            packages=tools.packages,
            notes=(
                *tools.notes,
                "Look into the log for what these profiles would have refused until now: "
                "`journalctl -k --grep ALLOWED`.",
            ),
        )  # fmt: skip

    def _wrong(self, found: apparmor.AppArmor) -> list[str]:
        return [name for name in found.complaining if name not in self.complain]

    def _profiles(self, found: apparmor.AppArmor) -> Finding:
        wrong = self._wrong(found)
        enforced = found.enforced
        kept = sorted(self.complain & set(found.complaining))
        notes = [f"{', '.join(kept)} may go on reporting"] if kept else []
        notes += [
            f"{number} {SAID.get(mode, f'in mode {mode}')}" for mode, number in found.other.items()
        ]
        said = f"{enforced} enforced"
        said += f", {', '.join(found.complaining)} only reporting" if found.complaining else ""
        return Finding(
            resource="apparmor",
            setting="profiles",
            expected="enforced",
            running=said,
            persistent=said,
            origin=PROFILES,
            ok=not wrong and enforced > 0,
            note="; ".join(notes),
        )


def _kernel(found: apparmor.AppArmor) -> Finding:
    finding = Finding(
        resource="apparmor",
        setting="AppArmor in the kernel",
        expected="on",
        running={True: "on", False: "off", None: "not built in, or not chosen"}[found.enabled],
        origin=ENABLED,
        ok=found.enabled is True,
    )
    if found.container and not found.enabled:
        note = "a container: the kernel is that of its host, which confines the container or not"
        return msgspec.structs.replace(finding, ok=None, applicable=False, note=note)
    return finding


def _boot(found: apparmor.AppArmor) -> str:
    what = "is switched off" if found.enabled is False else "is not in use"
    return (
        f"AppArmor {what} in this kernel, which only a boot can change; nothing was changed. Take "
        "`apparmor=0` and other `security=` or `lsm=` words out of GRUB_CMDLINE_LINUX in "
        "/etc/default/grub, add `apparmor=1 security=apparmor`, run `update-grub`, and reboot."
    )
