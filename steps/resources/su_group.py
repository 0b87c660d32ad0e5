"""su(1) for one group, and root, alone: nobody else tries passwords with it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from host.facts import Fact
from host.facts.pam_files import PAM_FILES, PLACE, PamLine, edited, parse_pam
from snapshots.model import WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource

SERVICE: Final = f"{PLACE}/su"
_MODULE: Final = "pam_wheel.so"
_ROOT: Final = "pam_rootok.so"
_BARS: Final = ("required", "requisite")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: str


class SuGroup(Resource):
    """`su-group: {group: sudo}`."""

    kind: ClassVar[str] = "su-group"

    def __init__(self, group: str) -> None:
        self.group = group

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SuGroup:
        return cls(msgspec.convert(body, _Body).group)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PAM_FILES,)

    def observe(self, ctx: Context) -> list[Finding]:
        text = ctx.facts.get(PAM_FILES).get(SERVICE)
        ours = _ours(text or "")
        right = ours is not None and self._is_right(ours)
        running = "everybody" if ours is None else f"those of {ours.value('group') or 'root'}"
        finding = Finding(
            resource="pam",
            setting="who may call su",
            expected=f"those of {self.group}, and root",
            running=running if right or ours is None else f"{running}, in part",
            persistent=running if right or ours is None else f"{running}, in part",
            origin=ours.origin if ours else SERVICE,
            ok=right,
        )
        if text is None:
            note = f"there is no {SERVICE} on this host"
            return [msgspec.structs.replace(finding, applicable=False, note=note)]
        return [finding]

    def plan(self, ctx: Context) -> Planned:
        text = ctx.facts.get(PAM_FILES).get(SERVICE)
        if text is None or self.observe(ctx)[0].ok:
            return Planned()
        ours = _ours(text)
        root = next((one for one in parse_pam(SERVICE, text) if one.module == _ROOT), None)
        if (ours is not None and (ours.is_split or ours.control not in _BARS)) or root is None:
            return Planned(
                refusals=(
                    f"{ours.origin if ours else SERVICE} does not treat su as Debian does; nothing"
                    " was changed. Put Debian's own file back (apt-get install --reinstall -o"
                    " Dpkg::Options::=--force-confask util-linux), then look again.",
                )
            )
        words = ("use_uid", f"group={self.group}")
        if ours is not None:
            text = edited(text, ours, words)
        else:
            lines = text.split("\n")
            # Before any password is asked for, so that nothing is counted against anybody.
            lines.insert(root.number, f"auth       requisite  {_MODULE} {' '.join(words)}")
            text = "\n".join(lines)
        return Planned(
            changes=(WriteFile(path=SERVICE, content=text.encode("utf-8", "surrogateescape")),)
        )

    def _is_right(self, line: PamLine) -> bool:
        return (
            line.control in _BARS
            and line.value("group") == self.group
            and "use_uid" in line.arguments
            and not {"trust", "deny", "root_only"} & set(line.arguments)
        )


def _ours(text: str) -> PamLine | None:
    lines = parse_pam(SERVICE, text)
    return next((one for one in lines if (one.type, one.module) == ("auth", _MODULE)), None)
