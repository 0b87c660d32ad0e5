"""What gives every site of Apache a certificate that is good, in the way a person chose."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from host.facts.apache import APACHE, FOLDER, RUNNING, Apache
from host.facts.apache_certificates import CERTIFICATES, KeyFile, OnDisk, read_chain, read_key
from host.facts.apache_config import VirtualHost, parse_address
from host.facts.apache_tls import TLS
from host.facts.owners import GROUPS
from host.facts.ports import PORTS
from host.facts.x509 import Certificate
from snapshots.model import Change, RunCommand
from steps.resource import Context, Planned
from steps.resources.apache_dropin import CONFIGTEST, Edits, planned
from steps.resources.apache_site import (
    TLS_PORT,
    Site,
    over_tls,
    sends_to_tls,
    text_of,
    without_tls,
)

if TYPE_CHECKING:
    from steps.resources.apache_certificate import ApacheCertificate

CERTIFICATE = "/etc/ssl/certs/harden-tui-apache.pem"
KEY = "/etc/ssl/private/harden-tui-apache.key"
_DAYS = "397"
"""Longer than that browsers take none."""


def plan(wanted: ApacheCertificate, ctx: Context) -> Planned:
    """See `steps.resource.Resource.plan`."""
    apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
    changes: list[Change] = list(_private(wanted, ctx))
    notes: list[str] = []
    refusals: list[str] = []
    sites = without_tls(apache)
    chosen = wanted.body.sites_without
    if chosen == "nothing":
        if sites:
            names = ", ".join(virtual.label for virtual in sites)
            notes.append(f"{names} stay without a certificate: {_choices()}")
    else:
        work = _Work(wanted, ctx, apache, sites)
        changes += work.changes()
        notes += work.notes
        refusals += work.refusals
    if not changes and not running.stale and _renewed(ctx):
        changes.append(
            RunCommand(argv=CONFIGTEST.argv, why="Apache only has to read its certificates again")
        )
    return planned(changes, running, notes=notes, refusals=refusals)


class _Work:
    """Certificates for the sites that have none, or a bad one."""

    def __init__(
        self, wanted: ApacheCertificate, ctx: Context, apache: Apache, sites: list[VirtualHost]
    ) -> None:
        self.wanted = wanted
        self.ctx = ctx
        self.apache = apache
        self.sites = sites
        self.given = wanted.body.sites_without == "given"
        self.certificate = wanted.body.certificate if self.given else CERTIFICATE
        self.key = wanted.body.key if self.given else KEY
        self.notes: list[str] = []
        self.refusals: list[str] = []

    def changes(self) -> list[Change]:
        names = self._names()
        known = self.ctx.facts.get(CERTIFICATES).on_disk
        ours = any(" ".join(disk.file.words) == CERTIFICATE for disk in known.values())
        bad = self._replaceable()
        if not self.sites and not bad and not (ours and not self.given):
            return []
        if self.given:
            self.refusals += self._unfit(names)
            if self.refusals:
                return []
        changes: list[Change] = []
        edits = Edits(self.ctx.host)
        for disk in bad:
            edits.set_args(disk.file, self.certificate)
            edits.set_args(disk.key_line, self.key)
        if not self.given and (command := self._make(names)):
            changes.append(command)
        changes += edits.changes
        self.refusals += edits.refusals
        if self.sites:
            changes += self._hosts()
        return changes

    def _hosts(self) -> list[Change]:
        """The virtual hosts at port 443, and what lets Apache serve them."""
        blocks: list[str] = []
        made = Site(self.wanted.step_id)
        for virtual in self.sites:
            lines = text_of(self.ctx.host, virtual)
            if sends_to_tls(self.apache, virtual):
                self.notes.append(
                    f"{virtual.label} only sends its visitors to https; what it shall answer there"
                    " is for you to write"
                )
            elif lines is None:
                self.notes.append(
                    f"{virtual.section.origin} is no plain <VirtualHost> (a macro?); write the one"
                    " for port 443 by hand"
                )
            else:
                blocks += over_tls(virtual, lines, self.certificate, self.key)
        if not blocks:
            return []
        others = [
            port
            for port in self.ctx.facts.get(PORTS)
            if port.protocol == "tcp" and port.port == TLS_PORT and port.process != "apache2"
        ]
        if others:
            self.refusals.append(
                f"{others[0].process or 'Another program'} listens on port {TLS_PORT} already, so"
                " Apache cannot; nothing was changed. Give the certificate to that program, or move"
                " it away first."
            )
            return []
        head = [f"# Written by harden-tui for the step {self.wanted.step_id}."]
        if not self._listens():
            head.append(f"Listen {TLS_PORT}")
        head.append("<IfModule mod_ssl.c>")
        if self.ctx.host.state(made.path) is not None:
            there = self.ctx.host.read_bytes(made.path).decode("utf-8", "surrogateescape")
            head = there.rstrip().removesuffix("</IfModule>").splitlines()
        text = "\n".join([*head, *blocks, "</IfModule>", ""])
        changes: list[Change] = []
        if "ssl_module" not in self.apache.modules:
            changes.append(RunCommand(argv=("a2enmod", "ssl"), why="load mod_ssl"))
        return [*changes, *made.changes(self.ctx.host, text)]

    def _listens(self) -> bool:
        """Whether Apache listens on 443 once mod_ssl is there, as Debian's ports.conf has it."""
        for directive in self.apache.config.named("Listen"):
            if directive.words and parse_address(directive.words[0])[1] == TLS_PORT:
                return True
        if "ssl_module" in self.apache.modules:
            return False
        path = f"{FOLDER}/ports.conf"
        if self.ctx.host.state(path) is None:
            return False
        text = self.ctx.host.read_bytes(path).decode("utf-8", "replace")
        lines = [line.split() for line in text.splitlines()]
        return any(words[:2] == ["Listen", str(TLS_PORT)] for words in lines)

    def _names(self) -> list[str]:
        """All names the certificate shall be for."""
        names = [n for site in self.sites for n in (site.name or self.ctx.host.name, *site.aliases)]
        known = self.ctx.facts.get(CERTIFICATES).on_disk
        for disk in known.values():
            if " ".join(disk.file.words) == self.certificate:
                names += [disk.host.name, *disk.host.aliases]
        kept = [n for n in dict.fromkeys(names) if n and not set(n) & set("?,")]
        return kept or [self.ctx.host.name]

    def _replaceable(self) -> list[OnDisk]:
        """Of TLS sites: those whose certificate is over, not for them, or not of their key."""
        if not self.given:
            return []
        found = []
        for disk in self.ctx.facts.get(CERTIFICATES).on_disk.values():
            if " ".join(disk.file.words) != self.certificate and self._is_bad(disk):
                found.append(disk)
        return found

    def _is_bad(self, disk: OnDisk) -> bool:
        if not disk.chain:
            return True
        leaf = disk.chain[0]
        other_name = bool(disk.host.name) and not leaf.is_for(disk.host.name)
        other_key = bool(disk.key.public) and disk.key.public != leaf.public_key
        return not self.wanted.lasts(leaf) or other_name or other_key

    def _make(self, names: list[str]) -> Change | None:
        """The command that makes a key and a certificate; `None` where there is a good one."""
        host = self.ctx.host
        if host.state(CERTIFICATE) is not None and host.state(KEY) is not None:
            chain, _ = read_chain(host, CERTIFICATE)
            if chain and self.wanted.lasts(chain[0]) and all(chain[0].is_for(n) for n in names):
                return None
        alternative = ",".join(f"DNS:{name}" for name in names)
        argv = (
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-sha256", "-nodes", "-days", _DAYS, "-subj", f"/CN={names[0][:64]}",
            "-addext", f"subjectAltName={alternative}",
            "-addext", "extendedKeyUsage=serverAuth",
            "-keyout", KEY, "-out", CERTIFICATE,
        )  # fmt: skip
        if host.which("openssl") is None:
            self.refusals.append(
                "openssl is not installed, so no certificate can be made; nothing was changed."
                " `apt-get install openssl`, or choose a certificate you have (sites-without given)"
            )
            return None
        self.notes.append(
            "browsers warn of a self-signed certificate, and nobody can tell this host from another"
            " that claims its name; for names the world knows use certbot"
        )
        return RunCommand(argv=argv, why=f"make a key and a certificate for {', '.join(names)}")

    def _unfit(self, names: list[str]) -> list[str]:
        """Why the given certificate cannot be used."""
        chain, problem = read_chain(self.ctx.host, self.certificate)
        if problem:
            return [f"{problem}; nothing was changed"]
        key = read_key(self.ctx.host, self.key)
        if not key.public:
            return [f"{key.problem}; nothing was changed"]
        leaf: Certificate = chain[0]
        if key.public != leaf.public_key:
            return [
                f"{self.key} is not the key of {self.certificate} (its first certificate is that of"
                f" {leaf.subject}); nothing was changed. Apache would not start with them."
            ]
        if not self.wanted.lasts(leaf):
            return [f"{self.certificate} is valid until {leaf.until} only; nothing was changed"]
        missing = [name for name in names if name != self.ctx.host.name and not leaf.is_for(name)]
        if missing:
            self.notes.append(
                f"{self.certificate} is not for {', '.join(missing)}: browsers will warn there"
            )
        return []


def _choices() -> str:
    from steps.resources.apache_certificate import CHOICES

    return CHOICES


def _private(wanted: ApacheCertificate, ctx: Context) -> list[Change]:
    """Keys that others can read."""
    from steps.resources.apache_certificate import is_private

    ssl_cert = ctx.facts.get(GROUPS).get("ssl-cert", -1)
    open_keys: dict[str, KeyFile] = {
        ctx.host.realpath(disk.key.path): disk.key
        for disk in ctx.facts.get(CERTIFICATES).on_disk.values()
        if not disk.key.problem.endswith("does not exist") and not is_private(disk.key, ssl_cert)
    }
    changes: list[Change] = []
    for path, key in sorted(open_keys.items()):
        if not path.startswith("/etc/"):
            continue  # outside of /etc an undo would not know how it was
        name = posixpath.basename(path)
        if key.uid != 0:
            changes.append(RunCommand(argv=("chown", "root", path), why=f"{name} is root's"))
        changes.append(
            RunCommand(argv=("chmod", "u=rw,g-wx,o=", path), why=f"nobody else reads {name}")
        )
        if key.mode & 0o070 and key.gid not in (0, ssl_cert):
            changes.append(RunCommand(argv=("chmod", "g=", path), why="nor does its group"))
    return changes


def _renewed(ctx: Context) -> bool:
    """Whether a good file waits to be read: a certificate that was renewed."""
    served = {one.target.section_line: one.chain for one in ctx.facts.get(TLS).spoken if one.chain}
    return any(
        disk.chain and at in served and served[at][0] != disk.chain[0]
        for at, disk in ctx.facts.get(CERTIFICATES).on_disk.items()
    )
