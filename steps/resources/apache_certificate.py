"""Certificates: what is served, what a restart would serve, and sites that have none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.apache import APACHE, RUNNING
from host.facts.apache_certificates import CERTIFICATES, KeyFile, OnDisk
from host.facts.apache_config import VirtualHost
from host.facts.apache_tls import TLS, Spoken
from host.facts.owners import GROUPS
from host.facts.ports import PORTS
from host.facts.x509 import Certificate
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_site import without_tls

DAY_S = 86400
_NAMELESS = "localhost"
"""What a virtual host without a ServerName is asked by."""

CHOICES = (
    "choose with the parameter sites-without: self-signed (browsers warn), or given, with the files"
    " of a certificate you have. For names the world knows, certbot gets one for nothing:"
    " `apt-get install python3-certbot-apache`, then `certbot --apache -d NAME`"
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The resource as the catalogue writes it. `certificate` and `key` are paths, or empty."""

    sites_without: Literal["nothing", "self-signed", "given"]
    certificate: str = ""
    key: str = ""
    own_authority: bool = False
    days_left: int = 14
    rsa_bits: int = 2048


class ApacheCertificate(Resource):
    """`apache-certificate: {sites-without: …, certificate: …, key: …, days-left: 14, …}`."""

    kind: ClassVar[str] = "apache-certificate"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheCertificate:
        given = msgspec.convert(body, Body, strict=True)
        for field, path in (("certificate", given.certificate), ("key", given.key)):
            if path and not re.fullmatch(r"/[^\s\"'\\]+", path):
                raise StepError(f"{field}: expected an absolute path without blanks, not {path!r}")
        if given.sites_without == "given" and not (given.certificate and given.key):
            raise StepError("sites-without given: name the files in certificate and key")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, TLS, CERTIFICATES, PORTS, GROUPS)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        findings = [_none(virtual) for virtual in without_tls(apache)]
        known = ctx.facts.get(CERTIFICATES)
        for one in ctx.facts.get(TLS).spoken:
            findings += self._served(one, known.refused.get(one.target, ""))
        groups = ctx.facts.get(GROUPS)
        for disk in known.on_disk.values():
            served = _served_at(disk, ctx.facts.get(TLS).spoken)
            findings += self._stored(disk, served, running.stale, groups.get("ssl-cert", -1))
        if not findings:
            findings.append(
                Finding(
                    resource="apache", setting="certificate", expected="valid",
                    note="Apache has no virtual host on port 80 or 443", applicable=False,
                )
            )  # fmt: skip
        return findings

    def plan(self, ctx: Context) -> Planned:
        from steps.resources.apache_certificate_plan import plan  # a check does without

        return plan(self, ctx)

    def lasts(self, certificate: Certificate) -> bool:
        now = time.time()
        return certificate.not_before_s <= now < certificate.not_after_s - self.days_s

    @property
    def days_s(self) -> int:
        return self.body.days_left * DAY_S

    def _served(self, one: Spoken, refused: str) -> Iterator[Finding]:
        label = f"apache {one.target.label}"
        shown = one.certificate
        if shown is None:
            yield Finding(resource=label, setting="certificate", expected="valid", note=one.problem)
            return
        yield Finding(
            resource=label,
            setting="valid until",
            expected=f"{self.body.days_left} days from now, or later",
            running=shown.until,
            ok=self.lasts(shown),
            note="" if shown.not_before_s <= time.time() else "it is not valid yet",
        )
        named = one.target.name != _NAMELESS
        yield Finding(
            resource=label,
            setting="names",
            expected=one.target.name if named else "the names visitors use",
            running=", ".join(shown.names) or f"none but {shown.subject or 'an empty subject'}",
            ok=shown.is_for(one.target.name),
            applicable=named,
            note="" if named else "the virtual host has no ServerName to compare with",
        )
        yield Finding(
            resource=label,
            setting="key",
            expected=f"RSA of {self.body.rsa_bits} bits or more, or a curve of 256 or more",
            running=f"{shown.key} {shown.key_bits}",
            ok=shown.key_bits >= (self.body.rsa_bits if shown.key == "RSA" else 256),
        )
        yield Finding(
            resource=label,
            setting="signature",
            expected="SHA-256 or better",
            running=shown.signature,
            ok=not shown.weak_hash,
        )
        yield self._chain(label, one, refused)

    def _chain(self, label: str, one: Spoken, refused: str) -> Finding:
        shown = one.chain[0]
        chain = " < ".join([shown.subject, *(c.subject for c in one.chain[1:])])
        doubted = "" if "name mismatch" in refused.lower() else refused
        chosen = shown.self_signed and self.body.sites_without == "self-signed"
        note = doubted
        if doubted and (chosen or self.body.own_authority):
            note = f"{doubted}, as chosen: browsers warn unless they were told to trust it"
        elif doubted:
            note = (
                f"{doubted}; send the intermediate certificates too, put an authority of your own"
                " into /usr/local/share/ca-certificates, or choose own-authority"
            )
        return Finding(
            resource=label,
            setting="chain",
            expected="an authority that is known",
            running=chain,
            ok=not doubted or chosen or self.body.own_authority,
            note=note,
        )

    def _stored(
        self, disk: OnDisk, served: Certificate | None, stale: str, ssl_cert: int
    ) -> Iterator[Finding]:
        label = f"apache {disk.host.label}"
        path = " ".join(disk.file.words)
        if disk.problem:
            yield Finding(
                resource=label, setting=path, expected="a certificate", origin=disk.file.origin,
                ok=False, note=disk.problem,
            )  # fmt: skip
        else:
            same = served is None or served == disk.chain[0]
            yield Finding(
                resource=label,
                setting=path,
                expected="what is served, and lasts",
                running=f"until {served.until}" if served else "",
                persistent=f"until {disk.chain[0].until}",
                origin=disk.file.origin,
                ok=same and self.lasts(disk.chain[0]),
                note="" if same else f"another certificate is served; reload Apache ({stale})",
            )
        yield from _key(label, disk, ssl_cert)


def _none(virtual: VirtualHost) -> Finding:
    return Finding(
        resource=f"apache {virtual.name or virtual.section.args}",
        setting="certificate",
        expected="one, so that the site answers over TLS",
        running="none",
        persistent="none",
        origin=virtual.section.origin,
        ok=False,
        note=CHOICES,
    )


def _served_at(disk: OnDisk, spoken: tuple[Spoken, ...]) -> Certificate | None:
    """`None` too where there are several (RSA and ECDSA): which is served is for the client."""
    for one in spoken:
        at_it = one.target.section_line == disk.host.section.origin
        if at_it and one.chain and not disk.has_others:
            return one.chain[0]
    return None


def _key(label: str, disk: OnDisk, ssl_cert: int) -> Iterator[Finding]:
    key = disk.key
    matches = bool(disk.chain) and key.public == disk.chain[0].public_key
    if not key.public:
        yield Finding(
            resource=label, setting="key matches", expected="yes", origin=disk.key_line.origin,
            ok=False if key.problem.endswith("does not exist") else None, note=key.problem,
        )  # fmt: skip
    elif disk.chain:
        yield Finding(
            resource=label,
            setting="key matches",
            expected="yes",
            running="yes" if matches else "no",
            persistent="yes" if matches else "no",
            origin=disk.key_line.origin,
            ok=matches,
        )
    if not key.problem.endswith("does not exist"):
        yield Finding(
            resource=label,
            setting=f"mode of {key.path}",
            expected="root's, for nobody else but the group ssl-cert",
            running=f"{key.mode:04o}",
            persistent=f"{key.mode:04o}",
            origin=disk.key_line.origin,
            ok=is_private(key, ssl_cert),
        )


def is_private(key: KeyFile, ssl_cert: int) -> bool:
    allowed = 0o040 if key.gid in (0, ssl_cert) else 0
    return key.uid == 0 and not key.mode & 0o077 & ~allowed
