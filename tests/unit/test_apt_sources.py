"""Package sources: what apt uses, what their entries say, and edits that keep all the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.distribution import Distribution
from host.facts.apt_entries import deb822, one_line, options
from host.facts.apt_sources import Source, parse_sources, with_entry
from snapshots.model import RunCommand, WriteFile
from steps.resource import Planned
from steps.resources.apt_sources import KEYRINGS, SECURITY_FILE, AptSources, signature_files
from tests.unit.given import RELEASES, context, packages, recorded

LIST = "/etc/apt/sources.list"
DEBIAN = Source(f"{LIST}:2", "http://ftp.debian.org/debian/", "bookworm", "bookworm", "oldstable",
                "Debian", "Debian")  # fmt: skip
SECURITY = Source(
    f"{LIST}:3", "http://security.debian.org/debian-security/", "bookworm-security",
    "bookworm-security", "oldstable-security", "Debian", "Debian-Security",
)  # fmt: skip
TEXT = (
    "# ours\n"
    "deb http://ftp.debian.org/debian bookworm main\n"
    "deb [arch=amd64 trusted=yes] http://security.debian.org/debian-security"
    " bookworm-security main\n"
)
STANZAS = """\
# the first

Types: deb
URIs: http://ftp.debian.org/debian
Suites: trixie
Components: main
Trusted: yes

# the second
Types: deb
URIs: https://packages.example.org
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.mark.parametrize("release", RELEASES)
def test_the_labs_own_source(release: str) -> None:
    (source,) = parse_sources(recorded(release, "apt/indextargets.txt"))
    assert (source.file, source.number, source.uri) == (LIST, 1, "file:/srv/repo/")
    assert source.is_security and not source.is_deb822
    found = with_entry(source, "deb [trusted=yes] file:/srv/repo ./\n")
    assert found.trusted and not found.signed_by


def test_a_field_that_is_not_there() -> None:
    (found,) = parse_sources("a.list:1\thttp://x/\ttrixie-security\t$(CODENAME)\t$(SUITE)"
                             "\t$(ORIGIN)\t$(LABEL)\n")  # fmt: skip
    assert found.codename == found.label == ""
    assert found.is_security


def test_what_entries_say() -> None:
    assert options(TEXT, 2, is_deb822=False) == {}
    assert options(TEXT, 3, is_deb822=False) == {"arch": "amd64", "trusted": "yes"}
    assert options(STANZAS, 1, is_deb822=True)["trusted"] == "yes"
    assert "BEGIN PGP" in options(STANZAS, 2, is_deb822=True)["signed-by"]
    assert options(STANZAS, 3, is_deb822=True) == options(TEXT, 0, is_deb822=False) == {}


def test_options_of_a_line() -> None:
    assert one_line(TEXT, 3, remove="trusted") == TEXT.replace(" trusted=yes", "")
    added = one_line(TEXT, 2, add="signed-by=/k.gpg")
    assert added == TEXT.replace("deb http://ftp", "deb [signed-by=/k.gpg] http://ftp")
    assert one_line("deb [trusted=yes] file:/srv ./", 1, remove="trusted") == "deb file:/srv ./"
    assert one_line(TEXT, 1, remove="trusted") is None


def test_fields_of_a_stanza() -> None:
    assert deb822(STANZAS, 1, remove="trusted") == STANZAS.replace("Trusted: yes\n", "")
    added = deb822(STANZAS, 1, add="Signed-By: /k.gpg")
    assert added == STANZAS.replace("Trusted: yes\n", "Trusted: yes\nSigned-By: /k.gpg\n")
    whole = deb822(STANZAS, 2, remove="signed-by")
    assert whole is not None and "PGP" not in whole and whole.endswith("Components: main\n")
    assert deb822(STANZAS, 3, add="A: b") is None


@given(st.text(alphabet="deb [=]:#\n Tx/", max_size=60), st.integers(-1, 5))
def test_no_text_breaks_the_edits(text: str, number: int) -> None:
    for is_deb822 in (True, False):
        options(text, number, is_deb822=is_deb822)
    for edit in (one_line, deb822):
        assert edit(text, number, remove="trusted") is None or isinstance(text, str)
    parse_sources(text)


def test_where_apt_keeps_signatures() -> None:
    where = "/var/lib/apt/lists/ftp.debian.org_debian_dists_bookworm_InRelease"
    assert signature_files(DEBIAN)[0] == where
    flat = Source("x:1", "file:/srv/repo/", "./")
    assert signature_files(flat)[1] == "/var/lib/apt/lists/_srv_repo_._Release.gpg"


def plan(tmp_path: Path, *sources: Source, **answers: Any) -> Planned:
    ctx = context(
        tmp_path,
        **{
            "apt_sources": sources,
            "distribution": Distribution("debian", "Debian 12", "12", "bookworm"),
            "packages": packages("apt"),
            "dpkg_busy": "",
            **answers,
        },
    )
    for directory in ("/etc/apt", "/etc/apt/sources.list.d", "/usr", "/usr/share",
                      "/usr/share/keyrings"):  # fmt: skip
        if ctx.host.state(directory) is None:
            ctx.host.put(directory, FileState(kind="dir", mode=0o755))
    ctx.host.write_file(LIST, TEXT.encode())
    ctx.host.write_file(KEYRINGS["debian"], b"key")
    return AptSources.parse("x.y", {}).plan(ctx)


def test_debians_entries_get_debians_key(tmp_path: Path) -> None:
    planned = plan(tmp_path, with_entry(DEBIAN, TEXT), with_entry(SECURITY, TEXT))
    write, command = planned.changes
    assert isinstance(write, WriteFile) and isinstance(command, RunCommand)
    lines = write.content.decode().splitlines()
    key = f"signed-by={KEYRINGS['debian']}"
    assert lines[1] == f"deb [{key}] http://ftp.debian.org/debian bookworm main"
    assert f"[arch=amd64 {key}]" in lines[2] and "trusted" not in lines[2]
    assert command.argv[:3] == ("apt-get", "update", "--error-on=any")


def test_a_security_source_is_added(tmp_path: Path) -> None:
    source = Source(f"{LIST}:2", DEBIAN.uri, "bookworm", "bookworm", "oldstable", "Debian",
                    "Debian", signed_by="/k.gpg")  # fmt: skip
    planned = plan(tmp_path, source)
    write = planned.changes[0]
    assert isinstance(write, WriteFile) and write.path == SECURITY_FILE
    assert b"Suites: bookworm-security" in write.content


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(f"{LIST}:9", "https://x.org/", "stable", trusted=True), "has none"),
        (Source(f"{LIST}:9", "https://x.org/", "stable"), "which key signs https://x.org/"),
    ],
)
def test_strangers_are_left_to_a_person(tmp_path: Path, source: Source, said: str) -> None:
    (refusal,) = plan(tmp_path, source, with_entry(SECURITY, TEXT)).refusals
    assert said in refusal and f"{LIST}:9" in refusal and "Nothing was changed" in refusal


def test_findings(tmp_path: Path) -> None:
    ctx = context(tmp_path, apt_sources=(with_entry(SECURITY, TEXT), DEBIAN))
    trusted, unnamed, security = AptSources.parse("x.y", {}).observe(ctx)
    assert (trusted.ok, unnamed.ok, security.ok) == (False, False, True)
    assert trusted.origin == f"{LIST}:3" and "without a signature" in trusted.running
