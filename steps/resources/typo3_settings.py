"""Settings of TYPO3, as it computes them, and their place in the file that has the last word."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE
from host.facts.apache_http import targets
from host.facts.applications import APPLICATIONS
from host.facts.php import WEB_PHP
from host.facts.php_source import STRINGS, line_of, quoted, without_comments
from host.facts.typo3 import KEYS, TYPO3, Typo3, Unreadable
from snapshots.model import Activation, Change, RemoveFile, Root, Validation, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

HOSTS: Final = "SYS/trustedHostsPattern"
LOCK_SSL: Final = "BE/lockSSL"
_BEGIN = "// harden-tui: begin of {step}; what stands here has the last word."
_END = "// harden-tui: end of {step}"
_SAFE_HOSTS: Final = "SERVER_NAME"
_OPEN: Final = "there: the Install Tool is open"


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`settings`: key ("SYS/displayErrors") -> expectation. `trusted-hosts` is the pattern to write
    where anybody's name is taken; "" is TYPO3's own default."""

    settings: dict[str, Any]
    trusted_hosts: str = ""


class Typo3Settings(Resource):
    """`typo3-settings: {settings: {SYS/displayErrors: "0", …}, trusted-hosts: ""}`."""

    kind: ClassVar[str] = "typo3-settings"

    def __init__(self, step_id: str, wanted: dict[str, Expectation], hosts: str) -> None:
        self.step_id = step_id
        self.wanted = wanted
        self.hosts = hosts or _SAFE_HOSTS
        self.begin, self.end = (line.format(step=step_id) for line in (_BEGIN, _END))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Typo3Settings:
        given = msgspec.convert(body, Body)
        for key in given.settings:
            if key not in KEYS:
                raise StepError(f"settings: {key!r} is not among {', '.join(KEYS)}")
        try:
            anybody = re.fullmatch(given.trusted_hosts or "x", "harden-tui.invalid")
        except re.error:
            anybody = None  # PCRE knows more than Python; TYPO3 itself will tell
        if anybody or given.trusted_hosts == ".*":
            raise StepError(f"trusted-hosts: {given.trusted_hosts!r} would take anybody's name")
        wanted = {key: Expectation.of(value) for key, value in given.settings.items()}
        return cls(step_id, wanted, given.trusted_hosts)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, APPLICATIONS, TYPO3, WEB_PHP)

    def observe(self, ctx: Context) -> list[Finding]:
        found = ctx.facts.get(TYPO3)
        if not found:
            return [
                Finding(
                    resource="TYPO3", setting="settings", expected="safe",
                    note="no TYPO3 is served here", applicable=False,
                )
            ]  # fmt: skip
        findings: list[Finding] = []
        for one in found:
            if isinstance(one, Unreadable):
                findings.append(
                    Finding(
                        resource=one.application.label, setting="settings", expected="safe",
                        note=one.problem,
                    )
                )  # fmt: skip
            else:
                findings += self._findings(ctx, one)
        return findings

    def _findings(self, ctx: Context, typo3: Typo3) -> list[Finding]:
        findings = [self._hosts(typo3)]
        findings += [self._setting(ctx, typo3, key) for key in self.wanted]
        findings.append(_install_tool(typo3))
        for path in _enabled(ctx, typo3):
            findings.append(
                Finding(
                    resource=typo3.application.label, setting="ENABLE_INSTALL_TOOL",
                    expected="absent", running=_OPEN, persistent=_OPEN, origin=path, ok=False,
                )
            )  # fmt: skip
        context = typo3.context or "Production"
        findings.append(
            Finding(
                resource=typo3.application.label, setting="TYPO3_CONTEXT",
                expected="Production", running=context, persistent=context,
                ok=context.split("/")[0] == "Production",
                note="" if context.startswith("Production") else _CONTEXT,
            )
        )  # fmt: skip
        return findings

    def _hosts(self, typo3: Typo3) -> Finding:
        value = typo3.values[HOSTS] or ""
        return Finding(
            resource=typo3.application.label,
            setting=HOSTS,
            expected="SERVER_NAME, or a pattern of the site's own names",
            running=value,
            persistent=value,
            origin=typo3.origins[HOSTS],
            ok=not typo3.trusts_anybody,
            note="any name that a visitor claims is taken, and put into links and mails"
            if typo3.trusts_anybody
            else "",
        )

    def _setting(self, ctx: Context, typo3: Typo3, key: str) -> Finding:
        value, expectation = typo3.values[key], self.wanted[key]
        finding = Finding(
            resource=typo3.application.label,
            setting=key,
            expected=str(expectation),
            running=value or "",
            persistent=value or "",
            origin=typo3.origins[key],
        )
        if value is None:
            note = f"TYPO3 {typo3.version} knows no such setting"
            return msgspec.structs.replace(finding, note=note, applicable=False)
        ok = expectation.satisfied_by(value)
        if key == LOCK_SSL and not ok and not _over_tls(ctx, typo3):
            note = "no name shows it over HTTPS; with this nobody could log in"
            return msgspec.structs.replace(finding, note=note, applicable=False)
        return msgspec.structs.replace(finding, ok=ok)

    def plan(self, ctx: Context) -> Planned:
        changes: list[Change] = []
        notes: list[str] = []
        refusals: list[str] = []
        roots: list[Root] = []
        validations: list[Validation] = []
        for one in ctx.facts.get(TYPO3):
            if isinstance(one, Unreadable):
                continue
            findings = self._findings(ctx, one)
            wrong = {finding.setting for finding in findings if finding.ok is False}
            if "installToolPassword" in wrong:
                refusals.append(
                    f"The Install Tool's password of {one.application.path} is no hash of today."
                    " Nothing was changed. Set a new one in Admin Tools > Settings > Change Install"
                    " Tool Password, or empty it in settings.php, then apply this step again."
                )
            if "TYPO3_CONTEXT" in wrong:
                refusals.append(f"{one.application.label} runs as {one.context}. {_CONTEXT}")
            for path in _enabled(ctx, one):
                changes.append(RemoveFile(path))
                roots.append(Root(path, content=True))
            keys = [key for key in (HOSTS, *self.wanted) if key in wrong]
            if keys:
                try:
                    written = self._written(ctx, one, keys)
                except FactUnavailable as error:
                    refusals.append(str(error))
                    continue
                changes.append(written)
                roots.append(Root(one.additional, content=True))
                validations.append(Validation(("php", "-l", one.additional)))
                notes += [
                    f"{one.additional} sets {key} to {self._target(key)} (was"
                    f" {one.values[key]}, by {one.origins[key]})."
                    for key in keys
                ]
        if refusals:
            return Planned(refusals=tuple(refusals))
        if not changes:
            return Planned()
        return Planned(
            changes=tuple(changes),
            validations=tuple(validations),
            # Where PHP does not look at a file's time (opcache.validate_timestamps=0).
            activations=tuple(Activation("reload", unit) for unit in _php_units(ctx)),
            roots=tuple(roots),
            notes=tuple(notes),
        )

    def _target(self, key: str) -> str:
        return self.hosts if key == HOSTS else self.wanted[key].target

    def _written(self, ctx: Context, typo3: Typo3, keys: list[str]) -> WriteFile:
        """additional.php with our block at its end. Raises `FactUnavailable`."""
        path = typo3.additional
        state = ctx.host.state(path)
        if state is not None and state.kind != "file":
            raise FactUnavailable(f"{path} is a {state.kind}, not a file; nothing was changed.")
        try:
            there = ctx.host.read_bytes(path, follow=False) if state else b""
        except HostError as error:
            raise FactUnavailable(str(error)) from None
        text = there.decode("utf-8", "surrogateescape")
        settings = ctx.host.state(typo3.application.config[0])
        before, given = self._without_block(text or "<?php\n")
        reason = stops_early(before)
        if reason:
            raise FactUnavailable(
                f"{path} {reason}, so nothing can be added at its end. Nothing was changed. Set"
                f" there by hand: {'; '.join(self._line(key) for key in keys)}"
            )
        lines = {_subject(line): line for line in given} | {
            _subject(self._line(key)): self._line(key) for key in keys
        }
        block = "\n".join((self.begin, *lines.values(), self.end))
        content = f"{before.rstrip()}\n\n{block}\n"
        return WriteFile(
            path=path,
            content=content.encode("utf-8", "surrogateescape"),
            mode=0o640,
            uid=settings.uid if settings else 0,
            gid=settings.gid if settings else 0,
            secret=True,
        )

    def _without_block(self, text: str) -> tuple[str, list[str]]:
        """The text without our block, and the lines in it."""
        found = re.search(
            rf"\n*{re.escape(self.begin)}\n(.*?){re.escape(self.end)}\n?", text, re.DOTALL
        )
        if found is None:
            return text, []
        return text[: found.start()] + "\n" + text[found.end() :], found.group(1).splitlines()

    def _line(self, key: str) -> str:
        path = "".join(f"[{quoted(part)}]" for part in key.split("/"))
        target = self._target(key)
        # Octal digits are text there, so that no zero before them is lost.
        value = quoted(target) if key.endswith("CreateMask") else as_php(target)
        return f"$GLOBALS['TYPO3_CONF_VARS']{path} = {value};"


_CONTEXT = (
    "Development shows errors and opens the Install Tool for administrators. Nothing was changed."
    " Take `SetEnv TYPO3_CONTEXT` out of the virtual host or .htaccess, or set it to Production."
)


def _subject(line: str) -> str:
    return line.partition(" = ")[0]


def as_php(value: str) -> str:
    """A value of an expectation as PHP source."""
    if value in ("yes", "no"):
        return "true" if value == "yes" else "false"
    return value if re.fullmatch(r"0|-?[1-9][0-9]{0,8}", value) else quoted(value)


def stops_early(text: str) -> str:
    """Why what is added at the end of a file might not be run; empty where it is."""
    source = without_comments(text)
    bare = re.sub(STRINGS, lambda m: re.sub(r"[^\n]", " ", m.group()), source)
    if not bare.lstrip().startswith("<?php"):
        return "does not begin with <?php"
    if "?>" in bare:
        return f"ends PHP with ?> in line {line_of(bare, bare.index('?>'))}"
    depth = 0
    for token in re.finditer(r"[{}]|\b(?:return|exit|die|__halt_compiler)\b", bare):
        letter = token.group()
        if letter in "{}":
            depth += 1 if letter == "{" else -1
        elif depth <= 0:
            return f"has {letter} in line {line_of(bare, token.start())}"
    return "has a { that is not closed" if depth > 0 else ""


def _install_tool(typo3: Typo3) -> Finding:
    kept = {"empty": "empty: it opens only for who is logged in", "hash": "a hash"}
    running = kept.get(typo3.install_tool, "MD5 or plain text")
    return Finding(
        resource=typo3.application.label,
        setting="installToolPassword",
        expected="a hash (Argon2 or bcrypt), or empty",
        running=running,
        persistent=running,
        origin=typo3.application.config[0],
        ok=typo3.install_tool in kept,
    )


def _enabled(ctx: Context, typo3: Typo3) -> list[str]:
    """Files that open the Install Tool, which are there."""
    path, public = typo3.application.path, typo3.application.public
    folders = (
        (f"{path}/var/transient", f"{path}/config")
        if typo3.application.layout == "composer"
        else (f"{public}/typo3temp/var/transient",)
    )
    names = [f"{folder}/ENABLE_INSTALL_TOOL" for folder in (*folders, f"{public}/typo3conf")]
    return [name for name in names if ctx.host.state(name) is not None]


def _over_tls(ctx: Context, typo3: Typo3) -> bool:
    """Whether a virtual host shows it over HTTPS, or a proxy before it does."""
    apache = ctx.facts.get(APACHE)
    roots = {one.section.origin: one.document_root for one in apache.hosts}
    shown = {
        ctx.host.realpath(roots.get(one.section_line) or apache.document_root)
        for one in targets(apache)
        if one.tls
    }
    return typo3.application.public in shown or bool(typo3.values["SYS/reverseProxySSL"])


def _php_units(ctx: Context) -> list[str]:
    try:
        return sorted({one.unit for one in ctx.facts.get(WEB_PHP)})
    except FactUnavailable:
        return []
