"""Small packages in several versions, made with dpkg-deb."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec

VERSIONS: Final = (1, 2, 3)

WEB: Final = "/etc/webthing/main.conf"
MORE: Final = "/etc/webthing/more.conf"
MADE: Final = "/etc/webthing/made.conf"
OLD: Final = "/etc/oldthing.conf"
EXTRA: Final = "/etc/extra/extra.conf"


class Deb(msgspec.Struct, frozen=True, kw_only=True):
    """A package to make. `files`: path -> content, those in /etc are conffiles; `scripts`: name ->
    lines of a shell script; `fields`: more of its control file, such as Provides; `triggers`: the
    file of that name."""

    name: str
    version: str
    depends: str = ""
    files: dict[str, str] = {}
    scripts: dict[str, str] = {}
    fields: dict[str, str] = {}
    triggers: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version}_all.deb"


def lines(title: str, version: int) -> str:
    """A configuration of some lines; a version changes the first and one in the middle."""
    middle = [f"Setting{number} {number}" for number in range(1, 8)]
    middle[3] = f"Timeout {version * 30}"
    return "\n".join([f"# {title} {version}", *middle, "End yes"]) + "\n"


def debs() -> list[Deb]:
    """`webthing` and `oldthing` are there from the start; `extra`, with `libextra`, comes by a
    step. What `extra` makes by itself, an account and a directory, depends on its version."""
    found = []
    for version in VERSIONS:
        files = {WEB: lines("webthing", version), MORE: lines("more of webthing", 1)}
        if version > 1:
            files[f"/etc/webthing/since-{version}.conf"] = lines("new in webthing", version)
        made = f"printf 'made by %s\\nSetting on\\n' {version} > {MADE}"
        found += [
            Deb(
                name="webthing", version=str(version), files=files,
                scripts={"postinst": made, "postrm": f'test "$1" != purge || rm -f {MADE}'},
            ),
            Deb(name="oldthing", version=str(version), files={OLD: lines("oldthing", version)}),
            Deb(name="libextra", version=str(version),
                files={f"/usr/share/libextra/{version}": "a library\n"}),
            Deb(
                name="extra", version=str(version), depends=f"libextra (>= {version})",
                files={
                    EXTRA: lines("extra", version),
                    **({f"/etc/extra/since-{version}.conf": "new\n"} if version > 1 else {}),
                },
                scripts={
                    "postinst": f"mkdir -p /var/lib/extra/{version}; echo x > /var/log/extra.log; "
                    f"echo made > /etc/extra/made-by-{version}",
                },
            ),
        ]  # fmt: skip
    return found


def build(deb: Deb, folder: Path) -> Path:
    """Make the .deb in `folder`."""
    tree = folder / f"{deb.name}-{deb.version}"
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    fields = [
        f"Package: {deb.name}", f"Version: {deb.version}", "Architecture: all",
        "Maintainer: nobody <nobody@example.org>", f"Description: {deb.name} to upgrade",
        *([f"Depends: {deb.depends}"] if deb.depends else []),
        *(f"{name}: {value}" for name, value in deb.fields.items()),
    ]  # fmt: skip
    (control / "control").write_text("\n".join(fields) + "\n")
    for path, content in deb.files.items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    conffiles = [path for path in deb.files if path.startswith("/etc/")]
    (control / "conffiles").write_text("".join(f"{path}\n" for path in conffiles))
    if deb.triggers:
        (control / "triggers").write_text(f"{deb.triggers}\n")
    for name, text in deb.scripts.items():
        (control / name).write_text(f"#!/bin/sh\nset -e\n{text}\n")
        (control / name).chmod(0o755)
    target = folder / deb.file_name
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(target)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return target


def offer(folder: Path, names: list[str]) -> None:
    """Make `folder` a source for apt that has these files."""
    listed = subprocess.run(
        ["apt-ftparchive", "packages", "."], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    blocks = [b for b in listed.split("\n\n") if any(f"Filename: ./{n}\n" in b for n in names)]
    (folder / "Packages").write_text("\n\n".join(blocks) + "\n")


def name_release(folder: Path, **fields: str) -> None:
    """Give the source a Release file with these fields, such as Origin and Label."""
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    (folder / "Release").unlink(missing_ok=True)
    release = subprocess.run(
        ["apt-ftparchive", *options, "release", "."], cwd=folder, check=True, capture_output=True
    ).stdout
    (folder / "Release").write_bytes(release)
