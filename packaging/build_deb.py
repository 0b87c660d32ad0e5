"""Build one .deb per Debian release, with every library inside: `make deb`.

Needs dpkg-deb and pip; wheels for the release's Python are fetched from this machine's package
index with the hashes of requirements.lock, so any machine builds for any release.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("host", "snapshots", "steps", "tui")
LIBRARY = "usr/lib/harden-tui"
RELEASES = {"bookworm": ("3.11", "12"), "trixie": ("3.13", "13")}
"""Debian release -> (its Python, its number in the package's version)."""

LAUNCHER = """\
#!/usr/bin/python3 -IS
import sys

sys.path.insert(0, "/usr/lib/harden-tui")
from tui.entry import main

sys.exit(main())
"""

CONTROL = """\
Package: harden-tui
Version: {version}
Architecture: {architecture}
Maintainer: The harden-tui authors <harden-tui@localhost>
Section: admin
Priority: optional
Installed-Size: {size_kib}
Depends: python3 (>= {python}), python3 (<< {next_python}), diffutils
Recommends: sudo
Description: harden a web server step by step, with a preview and a way back
 A terminal program that walks an administrator through the hardening of a
 Debian or Ubuntu web server. Every step explains itself, checks the effective
 state, shows an exact diff, applies in a transaction, proves the result and
 can be undone at any later time, in any order.
"""

POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    python3 -m compileall -q -j 0 /usr/lib/harden-tui >/dev/null 2>&1 || true
fi
"""

PRERM = """\
#!/bin/sh
set -e
window=/var/lib/harden-tui/window.json
if [ "$1" = remove ] && [ -e "$window" ]; then
    echo "harden-tui: an update window is open, and without harden-tui nothing seals again." >&2
    echo "Nothing was removed. Close it first: harden-tui window close" >&2
    echo "Where that cannot be done any more, move $window away: it stays unsealed then." >&2
    exit 1
fi
find /usr/lib/harden-tui -name __pycache__ -type d -prune -exec rm -rf {} +
"""


def version() -> str:
    """The version in pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def build(release: str, out: Path) -> Path:
    """Build the package for `release` into `out`; returns its path."""
    python, number = RELEASES[release]
    architecture = _output(["dpkg", "--print-architecture"])
    name = f"harden-tui_{version()}+deb{number}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="harden-tui-deb.") as scratch:
        tree = Path(scratch) / "tree"
        library = tree / LIBRARY
        library.mkdir(parents=True)
        _install_libraries(library, python)
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package, library / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        _write(tree / "usr/bin/harden-tui", LAUNCHER, 0o755)
        _documentation(tree)
        control = CONTROL.format(
            version=f"{version()}+deb{number}",
            architecture=architecture,
            python=python,
            next_python=f"3.{int(python.split('.')[1]) + 1}",
            size_kib=sum(f.stat().st_size for f in tree.rglob("*") if f.is_file()) // 1024,
        )
        _write(tree / "DEBIAN/control", control, 0o644)
        _write(tree / "DEBIAN/postinst", POSTINST, 0o755)
        _write(tree / "DEBIAN/prerm", PRERM, 0o755)
        for directory, _, files in os.walk(tree):
            os.chmod(directory, 0o755)
            for file in files:
                path = Path(directory) / file
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        out.mkdir(parents=True, exist_ok=True)
        target = out / name
        _run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", str(tree), str(target)])
    return target


def _install_libraries(library: Path, python: str) -> None:
    _run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-warn-script-location", "--require-hashes", "--no-deps", "--only-binary=:all:",
            "--python-version", python, "--implementation", "cp", "--target", str(library),
            "--requirement", str(ROOT / "requirements.lock"),
        ]
    )  # fmt: skip
    shutil.rmtree(library / "bin", ignore_errors=True)
    for cache in library.rglob("__pycache__"):
        shutil.rmtree(cache)


def _documentation(tree: Path) -> None:
    doc = tree / "usr/share/doc/harden-tui"
    doc.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", doc / "copyright")
    shutil.copy(ROOT / "CHANGELOG.md", doc / "CHANGELOG.md")
    for shell, place in (
        ("bash", "usr/share/bash-completion/completions/harden-tui"),
        ("zsh", "usr/share/zsh/vendor-completions/_harden-tui"),
    ):
        text = subprocess.run(
            [sys.executable, "-m", "tui.entry", "--print-completion", shell],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        _write(tree / place, text, 0o644)
    page = ROOT / "docs/harden-tui.8"
    if page.exists():
        (tree / "usr/share/man/man8").mkdir(parents=True)
        compressed = subprocess.run(
            ["gzip", "-9n", "-c", str(page)], check=True, capture_output=True
        ).stdout
        (tree / "usr/share/man/man8/harden-tui.8.gz").write_bytes(compressed)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        sys.exit(f"{argv[0]} failed: {said[-1] if said else done.returncode}")


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", default=sorted(RELEASES), help="bookworm trixie")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    if shutil.which("dpkg-deb") is None:
        sys.exit("dpkg-deb is missing: this builds Debian packages (apt-get install dpkg-dev)")
    for release in arguments.releases:
        print(build(release, arguments.out))


if __name__ == "__main__":
    main()
