"""Whether packages that an undo brings back still fit what was upgraded since, and what apt would
bring with them. Asks only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

import msgspec

from host.base import CommandFailed, CommandMissing, Host
from snapshots.debs import KeptDebs
from snapshots.dpkg import run_apt
from snapshots.progress import Silent

_INSTALL = (
    "install", "-y", "--no-install-recommends", "--allow-downgrades",
    "--allow-change-held-packages",
)  # fmt: skip

# " oldthing : Depends: libold (< 2) but 2 is to be installed"
_UNMET = re.compile(
    r"^ (?P<name>\S+) : (?P<what>(?:Pre-)?Depends|Breaks|Conflicts): (?P<on>.+?)"
    r"(?: but (?P<why>.+))?$",
    re.MULTILINE,
)
_WORDS = {"Depends": "depends on", "Pre-Depends": "depends on", "Breaks": "breaks",
          "Conflicts": "conflicts with"}  # fmt: skip
_MUST_REMOVE = re.compile(r"^E: Packages need to be removed", re.MULTILINE)
_REMOVED = re.compile(r"^Remv (\S+)", re.MULTILINE)
# "Inst libdaemon0 (0.14-7.1 Debian:13/stable [amd64])", "Inst libc6:i386 [1] (2 … [i386])"
_INSTALLED = re.compile(r"^Inst (\S+)(?: \[[^\]]*\])? \((\S+) ", re.MULTILINE)


class Fit(msgspec.Struct, frozen=True):
    """What apt says of packages that shall come.

    `why` they could not be installed together now, in one sentence without its end; empty if they
    could. `besides`: what it would install with them, as dpkg names it -> version.
    """

    why: str = ""
    besides: dict[str, str] = {}


def words_for_apt(debs: KeptDebs, versions: Mapping[str, str], *, practice: bool) -> list[str]:
    """Each package as apt takes it: its kept .deb, or else by name and version.

    A practice host's sources have every package, without a version.
    """
    words = []
    for name, version in sorted(versions.items()):
        kept = debs.find(name, version)
        words.append(str(kept) if kept else name if practice else f"{name}={version}")
    return words


def words_to_install(
    host: Host, debs: KeptDebs, versions: Mapping[str, str], leaving: Set[str]
) -> list[str]:
    """apt-get's words that install exactly these packages (name -> version).

    Nothing that is there goes for them but, where they cannot stand beside it, what is `leaving`
    anyway. Raises `CommandFailed` where apt cannot do it so.
    """
    words = words_for_apt(debs, versions, practice=host.is_practice)
    leaving = leaving - versions.keys()
    alone = [*_INSTALL, "--no-remove", *words]
    if host.is_practice or not leaving:
        return alone
    try:
        run_apt(host, Silent(), *alone, simulate=True)
    except CommandFailed as error:
        swapped = [*_INSTALL, *words, *(f"{name}-" for name in sorted(leaving))]
        said = run_apt(host, Silent(), *swapped, simulate=True).stdout
        if {_bare(name) for name in _REMOVED.findall(said)} - {_bare(name) for name in leaving}:
            raise error from None
        return swapped
    return alone


def _bare(name: str) -> str:
    return name.partition(":")[0]


def fit(
    host: Host, debs: KeptDebs, versions: Mapping[str, str], leaving: Set[str] = frozenset()
) -> Fit:
    """What apt would do to install these packages (name -> version) together now.

    `leaving` may go for them. Raises `HostError` where apt cannot be asked.
    """
    if not versions or host.is_practice:
        return Fit()
    try:
        words = words_to_install(host, debs, versions, leaving)
        said = run_apt(host, Silent(), *words, simulate=True).stdout
    except CommandFailed as error:
        answer = error.completed.stdout + error.completed.stderr
        return Fit(why=_misfit(host, debs, versions, answer))
    return Fit(besides=_besides(host, said, versions))


def _misfit(host: Host, debs: KeptDebs, versions: Mapping[str, str], said: str) -> str:
    """What keeps packages away, read from apt's refusal."""
    names = ", ".join(sorted(versions))
    unmet = _UNMET.search(said)
    if unmet:
        name, version = unmet["name"], versions.get(unmet["name"], "")
        other = f", but {unmet['why']}" if unmet["why"] else ""
        return f"{name} {version}".rstrip() + f" {_WORDS[unmet['what']]} {unmet['on']}{other}"
    if _MUST_REMOVE.search(said):
        others = ", ".join(_in_the_way(host, debs, versions)) or "other packages"
        return f"apt would have to remove {others} for {names}"
    last = [line for line in said.splitlines() if line.startswith("E: ")]
    return f"apt cannot install {names}" + (f" ({last[-1][3:].rstrip('.')})" if last else "")


def _in_the_way(host: Host, debs: KeptDebs, versions: Mapping[str, str]) -> list[str]:
    """The packages that would have to go; none where apt does not say."""
    words = words_for_apt(debs, versions, practice=host.is_practice)
    try:
        said = run_apt(host, Silent(), *_INSTALL, *words, simulate=True).stdout
    except CommandFailed:
        return []
    return sorted(set(_REMOVED.findall(said)))


def _besides(host: Host, said: str, versions: Mapping[str, str]) -> dict[str, str]:
    """What `apt-get -s` would install that is none of `versions`, as dpkg names it -> version."""
    bare = {_bare(name) for name in versions}
    more = {
        name: version
        for name, version in _INSTALLED.findall(said)
        if name not in versions and name not in bare
    }
    if not more:
        return {}
    try:
        known = host.run(("apt-cache", "show", *(f"{n}={v}" for n, v in sorted(more.items()))))
    except (CommandFailed, CommandMissing):
        return more
    full = several_at_once(known.stdout.split("\n\n"))
    return {full.get(name, name): version for name, version in more.items()}


def several_at_once(stanzas: Iterable[str]) -> dict[str, str]:
    """`apt-cache show` -> "libc6": "libc6:amd64" of packages that can be installed for several
    architectures at once: those dpkg always names with theirs."""
    found = {}
    for stanza in stanzas:
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if fields.get("Multi-Arch") == "same" and {"Package", "Architecture"} <= fields.keys():
            found[fields["Package"]] = f"{fields['Package']}:{fields['Architecture']}"
    return found


def refusal(debs: KeptDebs, why: str) -> str:
    """The sentences of an undo that is not begun because packages do not fit."""
    return (
        f"What was removed cannot come back as it was: {why}. Nothing was touched. Bring the other "
        "package to a version that fits or remove it, or install by hand a version that does "
        f"(the old packages are kept in {debs.path}), then try again."
    )
