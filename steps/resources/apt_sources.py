"""Package sources: each is signed, names the key it is signed by, and security updates are among
them. What apt uses is asked of apt."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from host.distribution import Distribution
from host.facts import Fact
from host.facts.apt_entries import deb822, one_line
from host.facts.apt_sources import APT_SOURCES, Source
from host.facts.os import DISTRIBUTION
from host.facts.pending import LISTS
from snapshots.dpkg import APT_OPTIONS
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import not_now

KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}
_HOSTS = {"debian": "debian.org", "ubuntu": "ubuntu.com"}
SECURITY_FILE = "/etc/apt/sources.list.d/harden-tui-security.sources"
UPDATE_TIMEOUT_S = 600.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class AptSources(Resource):
    """`apt-sources: {}`."""

    kind: ClassVar[str] = "apt-sources"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> AptSources:
        msgspec.convert(body, _Body)
        return cls()

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APT_SOURCES, DISTRIBUTION)

    def observe(self, ctx: Context) -> list[Finding]:
        sources = ctx.facts.get(APT_SOURCES)
        findings = [_trust_finding(source) for source in sources]
        security = [source for source in sources if source.is_security]
        shown = ", ".join(f"{source.uri} {source.suite}" for source in security)
        findings.append(
            Finding(
                resource="apt",
                setting="security updates",
                expected="a source has them",
                running=shown or "no list of such a source was fetched",
                persistent=shown,
                origin=security[0].entry if security else "",
                ok=bool(security),
            )
        )
        return findings

    def plan(self, ctx: Context) -> Planned:
        sources = ctx.facts.get(APT_SOURCES)
        distribution = ctx.facts.get(DISTRIBUTION)
        edits: dict[str, str] = {}
        refusals: list[str] = []
        # From the end: an edit moves what comes after it.
        for source in sorted(sources, key=lambda one: (one.file, -one.number)):
            problem = _mend(ctx, source, distribution, edits)
            if problem:
                refusals.append(problem)
        if not any(source.is_security for source in sources):
            if distribution.id not in KEYRINGS:
                refusals.append(
                    f"{distribution.name or 'This distribution'} has a security repository that is"
                    " not known here; nothing was changed. Add it to /etc/apt/sources.list.d and"
                    " run `apt-get update`."
                )
            else:
                edits[SECURITY_FILE] = security_stanza(distribution)
        changes: list[Change] = [
            WriteFile(path=path, content=text.encode("utf-8", "surrogateescape"))
            for path, text in sorted(edits.items())
        ]
        if not changes:
            return Planned(refusals=tuple(refusals))
        busy = not_now(ctx)
        if busy:
            return Planned(refusals=(busy,))
        changes.append(
            RunCommand(
                argv=("apt-get", "update", "--error-on=any", *APT_OPTIONS),
                why="fetch every list anew; a source that is not signed by its key fails here",
                timeout_s=UPDATE_TIMEOUT_S,
            )
        )
        return Planned(changes=tuple(changes), refusals=tuple(refusals))


def security_stanza(distribution: Distribution) -> str:
    """A deb822 file for the security repository."""
    code = distribution.codename
    uri, components = (
        ("http://security.ubuntu.com/ubuntu", "main restricted universe multiverse")
        if distribution.id == "ubuntu"
        else ("http://security.debian.org/debian-security", "main")
    )
    return (
        "# Written by harden-tui for the step updates.sources.\n"
        f"Types: deb\nURIs: {uri}\nSuites: {code}-security\nComponents: {components}\n"
        f"Signed-By: {KEYRINGS[distribution.id]}\n"
    )


def signature_files(source: Source) -> tuple[str, str]:
    """Where apt keeps a repository's signed Release file, or its signature, once fetched."""
    place = re.sub(r"^[a-z+]+:(//)?", "", source.uri)
    below = source.suite if source.suite.endswith("/") else f"dists/{source.suite}/"
    name = f"{place}{below}".replace("/", "_")
    return f"{LISTS}/{name}InRelease", f"{LISTS}/{name}Release.gpg"


def is_official(source: Source, distribution: Distribution) -> bool:
    """Whether the distribution's own key signs it: by its server's name."""
    host = re.sub(r"^[a-z+]+://([^/@]*@)?", "", source.uri).partition("/")[0].partition(":")[0]
    name = _HOSTS.get(distribution.id, "")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _trust_finding(source: Source) -> Finding:
    if source.trusted:
        running, ok, note = "taken without a signature", False, "trusted=yes: anybody on the way"
        note += " can give this host packages of their own"
    elif not source.signed_by:
        running, ok = "signed by any key apt knows", False
        note = "no Signed-By: each key in /etc/apt/trusted.gpg.d may sign for it"
    else:
        running, ok, note = f"signed by {_short(source.signed_by)}", True, ""
    return Finding(
        resource="apt source",
        setting=f"{source.uri} {source.suite}",
        expected="signed by a key of its own",
        running=running,
        persistent=running,
        origin=source.entry,
        ok=ok,
        note=note,
    )


def _short(signed_by: str) -> str:
    """A key may stand in the file itself, as a block of many lines."""
    return "the key in the file" if "BEGIN PGP" in signed_by else signed_by


def _mend(ctx: Context, source: Source, distribution: Distribution, edits: dict[str, str]) -> str:
    """Put what this entry needs into `edits`; why that cannot be, or empty."""
    keyring = KEYRINGS.get(distribution.id, "")
    is_ours = is_official(source, distribution) and ctx.host.state(keyring) is not None
    if source.trusted and not is_ours and not any(
        ctx.host.state(path) is not None for path in signature_files(source)
    ):  # fmt: skip
        return (
            f"{source.entry} takes packages from {source.uri} without a signature (trusted=yes),"
            " and that repository has none. Nothing was changed. Sign it and name its key with"
            " Signed-By, or take the entry out."
        )
    if not source.signed_by and not is_ours:
        return (
            f"{source.entry} does not say which key signs {source.uri}. Nothing was changed. Put"
            " the publisher's key into /etc/apt/keyrings and name it in the entry (signed-by=…,"
            " in a .sources file Signed-By: …), then look again."
        )
    if source.trusted:
        _edit(ctx, source, edits, remove="trusted")
    if not source.signed_by:
        _edit(ctx, source, edits, key=keyring)
    return ""


def _edit(
    ctx: Context, source: Source, edits: dict[str, str], *, remove: str = "", key: str = ""
) -> None:
    """A stanza stands for several repositories; the second time there is nothing left to do."""
    text = edits.get(source.file)
    if text is None:
        text = ctx.host.read_bytes(source.file).decode("utf-8", "surrogateescape")
    before = text
    if source.is_deb822:
        add = f"Signed-By: {key}" if key else ""
        found = deb822(text, source.number, remove=remove or "signed-by", add=add)
    else:
        add = f"signed-by={key}" if key else ""
        found = one_line(text, source.number, remove=remove or "signed-by", add=add)
    if found is not None and found != before:
        edits[source.file] = found
