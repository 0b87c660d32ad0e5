"""The .deb of every package a change takes away, kept so that the way back needs no network."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from host.base import CommandFailed, Host
from snapshots import sums
from snapshots.dpkg import NONINTERACTIVE, TIMEOUT_S
from snapshots.durable import sync_directory, sync_files
from snapshots.model import SnapshotError
from snapshots.progress import Progress

INFO = "/var/lib/dpkg/info"
CONTROL_FILES = (
    "preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers", "shlibs",
    "symbols", "conffiles",
)  # fmt: skip
_NOT_IN_CONTROL = ("Status:", "Conffiles:", "Config-Version:")


class KeptDebs:
    """`snapshots/debs/NAME_VERSION_ARCH.deb`, named as apt names them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, package: str, version: str) -> Path | None:
        """The kept .deb of `package` ("name" or "name:arch") in `version`."""
        name, _, arch = package.partition(":")
        found = sorted(self.path.glob(f"{name}_{_in_name(version)}_{arch or '*'}.deb"))
        return found[0] if found else None

    def is_whole(self, path: Path) -> bool:
        """Whether a kept .deb is what was kept."""
        try:
            listed = sums.read_listing(sum_of(path)).get(path.name)
            return listed == sums.file_hash(path)
        except (OSError, ValueError):
            return False

    def _has(self, package: str, version: str) -> bool:
        path = self.find(package, version)
        if path is not None and not self.is_whole(path):
            path.unlink()  # altered, or cut off by a crash: kept anew
            return False
        return path is not None

    def keep(self, host: Host, versions: Mapping[str, str], progress: Progress) -> None:
        """Make sure that the .deb of each installed package is here; durable on return.

        From apt's own cache, else downloaded, else packed again from the installed files.
        """
        if host.is_practice:
            return  # its pretend archive has every package it ever had
        missing = {name: v for name, v in sorted(versions.items()) if not self._has(name, v)}
        if not missing:
            return
        progress.doing("keeping packages for the way back", 0, len(missing))
        for name, version in missing.items():
            self._from_cache(host, name, version)
        self._download(host, {n: v for n, v in missing.items() if not self.find(n, v)})
        kept = []
        for done, (name, version) in enumerate(missing.items()):
            progress.doing("keeping packages for the way back", done, len(missing))
            if not self.find(name, version):
                self._repack(host, name, version)
            path = self.find(name, version)
            if path is None:
                raise SnapshotError(
                    f"The package {name} {version} could not be kept for the way back, so it was "
                    "not removed; no package was changed."
                )
            sum_of(path).write_bytes(sums.listing_of([path]))
            kept += [path, sum_of(path)]
        sync_files(kept)
        sync_directory(self.path)

    def _from_cache(self, host: Host, package: str, version: str) -> None:
        name, _, arch = package.partition(":")
        pattern = f"/var/cache/apt/archives/{name}_{_in_name(version)}_{arch or '*'}.deb"
        half = f"{self.path}/.half.deb"  # under its own name only when it is whole
        for path in host.glob(pattern):
            if host.run(("cp", "--", path, half), ok=None).ok:
                host.run(("mv", "--", half, f"{self.path}/{path.rpartition('/')[2]}"))
                return

    def _download(self, host: Host, versions: Mapping[str, str]) -> None:
        """All in one go; if one cannot be had apt fetches none, so then each on its own."""
        fetch = (
            "env", f"--chdir={self.path}", "apt-get", "download", "-q",
            "-o", "APT::Sandbox::User=root",
        )  # fmt: skip
        wanted = [f"{name}={version}" for name, version in versions.items()]
        run = functools.partial(host.run, ok=None, timeout_s=TIMEOUT_S, env=NONINTERACTIVE)
        if len(wanted) > 1 and not run((*fetch, *wanted)).ok:
            for word in wanted:
                run((*fetch, word))
        elif len(wanted) == 1:
            run((*fetch, *wanted))

    def _repack(self, host: Host, package: str, version: str) -> None:
        """Build the .deb from what is installed, as dpkg-repack does (which is rarely there)."""
        tree = str(self.path / ".repack")
        listing = host.run(("dpkg-query", "-L", package)).stdout.splitlines()
        names = [line for line in listing if line.startswith("/") and line != "/."]
        above = {name.rpartition("/")[0] for name in names}
        states = {name: host.state(name) for name in names}
        # /lib and the like are links to /usr/lib on the disk, and directories in the package.
        present = [
            name
            for name, state in states.items()
            if state is not None and not (state.kind == "symlink" and name in above)
        ]
        host.run(("rm", "-rf", "--", tree))
        host.run(("mkdir", "-p", "-m", "755", f"{tree}/DEBIAN"))
        try:
            tar = f"{tree}.tar"
            create = ("tar", "--create", f"--file={tar}", "--no-recursion", "--null",
                      "--directory=/", "--files-from=-")  # fmt: skip
            members = "\0".join(name.lstrip("/") for name in present).encode()
            host.run(create, stdin=members, timeout_s=TIMEOUT_S)
            host.run(("tar", "--extract", f"--file={tar}", f"--directory={tree}"), timeout_s=600)
            control = control_of(host.run(("dpkg-query", "-s", package)).stdout)
            host.write_file(f"{tree}/DEBIAN/control", control.encode())
            for part in CONTROL_FILES:
                for stem in (package, package.partition(":")[0]):
                    source = f"{INFO}/{stem}.{part}"
                    if host.state(source) is not None:
                        host.run(("cp", "-p", "--", source, f"{tree}/DEBIAN/{part}"))
                        break
            _with_every_conffile(host, tree)
            arch = re.search(r"^Architecture: (\S+)$", control, re.MULTILINE)
            name = package.partition(":")[0]
            target = f"{name}_{_in_name(version)}_{arch[1] if arch else 'all'}.deb"
            # Made under another name first: half a .deb must never be found.
            host.run(("dpkg-deb", "-Zgzip", "-z1", "--build", tree, f"{tar}.deb"), timeout_s=600)
            host.run(("mv", "--", f"{tar}.deb", str(self.path / target)))
        except CommandFailed as error:
            raise SnapshotError(
                f"The package {package} {version} could not be kept for the way back ({error}); "
                "no package was changed."
            ) from None
        finally:
            host.run(("rm", "-rf", "--", tree, f"{tree}.tar", f"{tree}.tar.deb"))


def _with_every_conffile(host: Host, tree: str) -> None:
    """An empty file in place of each configuration file that is none now, or dpkg-deb refuses.

    Somebody removed it, or put a link there. dpkg shall still know it: else it would come anew with
    the next upgrade. What really stood there is put back as a file, not by the package.
    """
    listing = f"{tree}/DEBIAN/conffiles"
    if host.state(listing) is None:
        return
    for path in host.read_bytes(listing).decode("utf-8", "surrogateescape").splitlines():
        state = host.state(f"{tree}{path}") if path.startswith("/") else None
        if not path.startswith("/") or (state is not None and state.kind == "file"):
            continue
        host.run(("rm", "-rf", "--", f"{tree}{path}"))
        host.run(("mkdir", "-p", "--", f"{tree}{path}".rpartition("/")[0]))
        host.write_file(f"{tree}{path}", b"")


def sum_of(path: Path) -> Path:
    """Where the hash of a kept .deb lies."""
    return path.with_name(f"{path.name}.sha256")


def control_of(status: str) -> str:
    """`dpkg-query -s` -> a control file: without the fields that only the status file has."""
    lines = []
    skipping = False
    for line in status.splitlines():
        if not line.startswith((" ", "\t")):
            skipping = line.startswith(_NOT_IN_CONTROL)
        if not skipping and line:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _in_name(version: str) -> str:
    return version.replace(":", "%3a")
