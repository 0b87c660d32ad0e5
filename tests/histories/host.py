"""A history on a real host: done as people do it, and everything looked at from outside."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from snapshots.model import Resolution
from tests.histories import archive
from tests.histories.actions import (
    PATHS,
    PLAIN,
    Action,
    Edits,
    Files,
    History,
    Installs,
    Purges,
    Undo,
    Upgrade,
)
from tests.histories.telling import State, Telling, There, possible, written
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost

SOURCE: Final = "/srv/histories"
SITE: Final = "/etc/harden-tui/steps.d/histories.yaml"
LOOKED_AT: Final = (*PATHS, archive.EXTRA)

_OF_PACKAGE: Final = {
    "webthing": (archive.WEB, archive.MORE, archive.MADE),
    "oldthing": (archive.OLD,),
    "extra": (archive.EXTRA,),
}
_STEP: Final = """\
- id: {id}
  stage: post-install
  title: A step of a history
  why: Histories are made of steps.
  breaks: Nothing.
  source: this test
  ensure:
"""
_REFUSALS: Final = re.compile(r"is a symbolic link to|is a \w+, not a file")
_LEFT_BY_DPKG: Final = re.compile(r"\.dpkg-(dist|old)$")


class Told(msgspec.Struct):
    """What happened in a history, and what did not hold."""

    seed: int
    done: list[str] = []
    applied: int = 0
    refused: int = 0
    edits: int = 0
    upgrades: int = 0
    undos: int = 0
    conflicts: int = 0
    problems: list[str] = []


class World:
    """One host, and what it must be like."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        """`folder` holds the packages of `archive.debs`."""
        self.host = host
        self.number = 0
        self.versions = {"webthing": 1, "oldthing": 1, "extra": 1}
        self.upgraded: set[str] = set()
        self._furnish(folder)
        self.first = fingerprint(host)
        self.telling = Telling({path: self.state(path) for path in LOOKED_AT})

    def run(self, history: History) -> Told:
        """All of it, to the end or to the first thing that does not hold."""
        told = Told(history.seed)
        try:
            for action in history.actions:
                self.number += 1
                self._do(action, told)
            for which, choice in zip(history.order, history.choices, strict=True):
                standing = self._standing()
                if not standing:
                    break
                self._undo(standing[which % len(standing)], choice, told)
            told.problems += self._at_the_end()
        except Failed as failed:
            told.problems.append(str(failed))
        return told

    def state(self, path: str) -> State:
        """What stands at a path now."""
        real = self.host.root / path.lstrip("/")
        try:
            status = real.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            return There(mode=0o777, target=os.readlink(real))
        return There(real.read_text(), stat.S_IMODE(status.st_mode))

    def _furnish(self, folder: Path) -> None:
        for deb in archive.debs():
            self.host.write(f"{SOURCE}/{deb.file_name}", (folder / deb.file_name).read_bytes())
        first = [deb.file_name for deb in archive.debs() if deb.version == "1"]
        archive.offer(self.host.root / SOURCE.lstrip("/"), first)
        self.host.write(
            "/etc/apt/sources.list.d/histories.list", f"deb [trusted=yes] file:{SOURCE} ./\n"
        )
        self.host.run("apt-get", "update", "-q")
        self.host.run("apt-get", "install", "-y", "-q", "webthing", "oldthing")
        self.host.write(PLAIN, "".join(f"line {number}\n" for number in range(8)), 0o640)

    def _do(self, action: Action, told: Told) -> None:
        match action:
            case Files():
                self._files(action, told)
            case Installs():
                self._apply("site.extra", "    - package: {installed: [extra]}\n", told)
            case Purges():
                self._apply("site.oldthing", "    - package: {purged: [oldthing]}\n", told)
            case Edits():
                self._edit(action, told)
            case Upgrade():
                self._upgrade(action, told)
            case Undo():
                standing = self._standing()
                if standing:
                    self._undo(standing[action.which % len(standing)], action.choice, told)

    def _files(self, action: Files, told: Told) -> None:
        resources = ""
        for path, how in action.wishes.items():
            before = self.state(path)
            text = written(before, how, f"step {self.number}", self.number)
            mode = 0o644 if before is None else before.mode
            body = {"path": path, "content": text, "mode": f"{mode & 0o777:04o}"}
            resources += f"    - file: {json.dumps(body)}\n"
        self._apply(f"site.files-{action.step}", resources, told, action.wishes)

    def _apply(self, step: str, resources: str, told: Told, what: object = "") -> None:
        self.host.write(SITE, _STEP.format(id=step) + resources)
        before = self._states()
        done = self._say("apply", step, "--yes")
        said = done.stdout + done.stderr
        if done.returncode == 3 and _REFUSALS.search(said):
            told.refused += 1
            require(self._states() == before, f"{step} was refused, and something changed")
            return
        require(done.returncode == 0, f"apply {step}: exit {done.returncode}: {said[-900:]}")
        told.applied += 1
        told.done.append(f"{self.number} apply {step} {what}")

    def _edit(self, action: Edits, told: Told) -> None:
        path, how = action.path, action.how
        before = self.state(path)
        real = self.host.root / path.lstrip("/")
        gone = path == archive.EXTRA and before is None
        if gone or not possible(before, how) or not real.parent.is_dir():
            return
        word = f"/run/mine-{self.number}" if how == "link" else f"mine {self.number}"
        if how in ("remove", "link") and before is not None:
            real.unlink()
        if how == "link":
            real.symlink_to(word)
        elif how == "chmod":
            real.chmod(0o600 + self.number % 8)
        elif how != "remove":
            real.write_text(written(before, how, word, self.number))
        told.edits += 1
        told.done.append(f"{self.number} {how} {path}")
        if path != archive.EXTRA:  # it goes with its package, once that was said
            self.telling.edited(path, how, word, self.number, before)

    def _upgrade(self, action: Upgrade, told: Told) -> None:
        name = action.package
        version = self.versions[name] + 1
        if version not in archive.VERSIONS or not self._is_installed(name):
            return
        names = [*(["libextra"] if name == "extra" else []), name]
        before = self._states()
        self.host.run(
            "env", "DEBIAN_FRONTEND=noninteractive", "dpkg",
            "--force-confnew" if action.takes else "--force-confold", "-i",
            *(f"{SOURCE}/{each}_{version}_all.deb" for each in names),
        )  # fmt: skip
        self.versions[name] = version
        told.upgrades += 1
        told.done.append(f"{self.number} upgrade {name} to {version}, takes={action.takes}")
        if name != "extra":
            self.upgraded.add(name)
            for path in _OF_PACKAGE[name]:
                self.telling.upgraded(path, before[path], self.state(path))

    def _undo(self, tx_id: str, choice: Resolution, told: Told) -> None:
        """Shown first; what is in conflict is refused, then chosen for, and done as shown."""
        before = self._states()
        flags: dict[str, str] = {}
        plan = self._plan(tx_id, flags)
        conflicts = [item for item in plan["items"] if item["how"] == "conflict"]
        if conflicts:
            told.conflicts += len(conflicts)
            refused = self._say("rollback", tx_id, "--yes")
            require(refused.returncode == 3, f"a conflict was not refused: {refused.stdout[-300:]}")
            require(self._states() == before, "an undo was refused, and something changed")
        while conflicts:
            for item in conflicts:
                labels = {side["label"] for side in item["sides"]}
                require({"before", "now", "after"} <= labels, f"sides of {item['key']}: {labels}")
                require(flags.get(item["key"]) != "keep-current", f"{item['key']} cannot be kept")
                can = choice not in item["cannot"] and item["key"] not in flags
                flags[item["key"]] = choice if can else "keep-current"
            plan = self._plan(tx_id, flags)
            conflicts = [item for item in plan["items"] if item["how"] == "conflict"]
        words = [f"--{how}={key}" for key, how in flags.items()]
        done = self._say("rollback", tx_id, "--yes", "--fingerprint", plan["fingerprint"], *words)
        said = done.stdout + done.stderr
        require(done.returncode == 0, f"undo of {tx_id}: exit {done.returncode}: {said[-900:]}")
        told.undos += 1
        told.done.append(f"{self.number} undo {tx_id} {plan['steps']} {flags}")
        self.telling.unclear |= flags.keys()
        if not self._is_installed("extra"):
            self.versions["extra"] = 1
        for path, was in before.items():
            lost = _mine(was) - _mine(self.state(path))
            if flags.get(path) == "restore":
                for word in lost:
                    self._is_kept(word)
            else:
                require(
                    not lost, f"{path}: {lost} was lost by the undo of {tx_id} ({plan['steps']})"
                )

    def _at_the_end(self) -> list[str]:
        """How the host differs from the first state with the edits and the upgrades."""
        problems = []
        for words in (("history", "verify"), ("log", "verify")):
            done = self._say(*words)
            if done.returncode != 0:
                problems.append(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        for path, wanted in self.telling.without.items():
            found = self.state(path)
            if path in self.telling.unclear:
                continue
            if found != wanted:
                problems.append(f"{path} should be {wanted}, and is {found}")
        for line in differences(self.first, fingerprint(self.host)):
            if not self._expected(line.split(": ")[0]):
                problems.append(line)
        return problems

    def _expected(self, what: str) -> bool:
        """Whether a difference (`files /etc/x`) comes of edits and upgrades, or of our own hand."""
        area, _, key = what.partition(" ")
        if area == "files":
            ours = (*LOOKED_AT, SITE, str(Path(SITE).parent), str(Path(SITE).parents[1]))
            new = any(key.startswith(f"/etc/{name}/since-") for name in self.upgraded)
            return key in ours or new or bool(_LEFT_BY_DPKG.search(key))
        words = set(re.split(r"[/. ]", key))
        return area in ("names", "packages") and bool(words & self.upgraded)

    def _standing(self) -> list[str]:
        answer = json.loads(self._say("history", "list", "--format", "json").stdout)
        return [
            one["id"]
            for one in answer["transactions"]
            if one["kind"] == "apply" and one["status"] == "committed"
        ]

    def _plan(self, tx_id: str, flags: dict[str, str]) -> dict[str, Any]:
        words = [f"--{how}={key}" for key, how in flags.items()]
        done = self._say("rollback", tx_id, "--dry-run", "--format", "json", *words)
        require(done.returncode in (0, 3), f"preview: exit {done.returncode}: {done.stderr[-600:]}")
        (plan,) = json.loads(done.stdout)["plans"]
        found: dict[str, Any] = plan
        return found

    def _say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self.host.run("harden-tui", *arguments, "--checklist", "i-doit", check=False)
        require("Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr)
        return done

    def _states(self) -> dict[str, State]:
        return {path: self.state(path) for path in LOOKED_AT}

    def _is_installed(self, name: str) -> bool:
        argv = ("dpkg-query", "-W", "-f", "${db:Status-Status}", name)
        return self.host.run(*argv, check=False).stdout == "installed"

    def _is_kept(self, word: str) -> None:
        """What was given up can be read in a restore point."""
        found = self.host.run("grep", "-rqF", word, "/var/lib/harden-tui/snapshots", check=False)
        require(
            found.returncode == 0 or word.startswith("/run/"), f"{word!r} is in no restore point"
        )


class Failed(AssertionError):
    """Something did not hold; the host is of no more use."""


def require(holds: bool, words: str) -> None:
    if not holds:
        raise Failed(words)


def _mine(state: State) -> set[str]:
    """An administrator's words at a path."""
    if state is None:
        return set()
    return {line for line in (*state.lines, state.target) if "mine" in line}
