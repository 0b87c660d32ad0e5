"""What people decided on this host: values for parameters, waivers and attestations.

Kept in `answers.json` of the state directory. Secrets are never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec

from snapshots.kept_json import changing
from snapshots.model import SnapshotError
from snapshots.state import StateDir

SCHEMA = "harden-tui/answers/1"

Value = int | str | bool | list[str]


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why this host does without a step.

    `when` is ISO 8601 UTC; `until` the last day it holds (ISO date of the host), "" for ever.
    """

    text: str = msgspec.field(name="reason")
    by: str
    when: str
    until: str = ""


class Attestation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person saw and vouches for; `when` and `until` as in a waiver."""

    text: str = msgspec.field(name="note")
    by: str
    when: str
    until: str = ""


Kept = TypeVar("Kept", Waiver, Attestation)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: str = SCHEMA
    values: dict[str, Value] = {}
    waivers: dict[str, Waiver] = {}
    attestations: dict[str, Attestation] = {}


class Answers:
    """The answers of one host. Raises `SnapshotError` naming the file where it is broken.

    What another process wrote meanwhile is kept: each change reads the file anew under a lock.
    Where `damaged` is given, it is told of a broken file instead, and there are no answers; the
    file stays as it is, and cannot be changed either.
    """

    def __init__(
        self, state: StateDir, *, damaged: Callable[[SnapshotError], None] | None = None
    ) -> None:
        self.path = state.answers
        try:
            self._file = self._load()
        except SnapshotError as error:
            if damaged is None:
                raise
            damaged(error)
            self._file = _File(values={}, waivers={}, attestations={})

    def values(self) -> dict[str, Value]:
        """Every value, by "step.parameter"."""
        return dict(self._file.values)

    def values_of(self, step_id: str) -> dict[str, Value]:
        """The values chosen for one step, by parameter."""
        found = {}
        for label, value in self._file.values.items():
            step, _, name = label.rpartition(".")
            if step == step_id:
                found[name] = value
        return found

    def set_value(
        self, step_id: str, name: str, value: Value | Sequence[str], *, secret: bool = False
    ) -> None:
        """Keep a value. Raises `SnapshotError` for a secret: it must not reach a disk."""
        if secret:
            raise SnapshotError(
                f"{step_id}.{name} is a secret and is never kept; nothing was written. Give it "
                "anew each time, by standard input."
            )
        with self._changing() as file:
            plain = value if isinstance(value, int | str) else list(value)
            file.values[f"{step_id}.{name}"] = plain

    def unset_value(self, step_id: str, name: str) -> None:
        """Forget a value; the checklist's, the host's or the default holds again."""
        with self._changing() as file:
            file.values.pop(f"{step_id}.{name}", None)

    def waive(self, step_id: str, reason: str, *, by: str, until: str = "") -> None:
        """Set a step aside. `until`: an ISO date, the last day. Raises `SnapshotError`."""
        waiver = Waiver(text=reason, by=by, when=_now(), until=_day(step_id, until))
        with self._changing() as file:
            file.waivers[step_id] = waiver

    def unwaive(self, step_id: str) -> None:
        with self._changing() as file:
            file.waivers.pop(step_id, None)

    def waiver(self, step_id: str) -> Waiver | None:
        """The step's waiver, if it still holds."""
        return _holding(self._file.waivers.get(step_id))

    def waivers(self) -> dict[str, Waiver]:
        """Every waiver, those that ran out included."""
        return dict(self._file.waivers)

    def attest(self, step_id: str, note: str, *, by: str, until: str = "") -> None:
        """Keep what a person saw. `until`: an ISO date, the last day. Raises `SnapshotError`."""
        seen = Attestation(text=note, by=by, when=_now(), until=_day(step_id, until))
        with self._changing() as file:
            file.attestations[step_id] = seen

    def attestation(self, step_id: str) -> Attestation | None:
        """The step's attestation, if it still holds."""
        return _holding(self._file.attestations.get(step_id))

    def attestations(self) -> dict[str, Attestation]:
        """Every attestation, those that ran out included."""
        return dict(self._file.attestations)

    @contextmanager
    def _changing(self) -> Iterator[_File]:
        """The file as it is now, written back at the end."""
        otherwise = "the answer was not kept and the ones before it still hold."
        with changing(self.path, self._load, otherwise) as file:
            yield file
        self._file = file

    def _load(self) -> _File:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return _File(values={}, waivers={}, attestations={})
        except OSError as error:
            raise SnapshotError(f"{self.path} cannot be read: {error.strerror}.") from error
        try:
            file = msgspec.json.decode(content, type=_File)
            if file.schema != SCHEMA:
                raise msgspec.ValidationError(f"schema is {file.schema!r}, expected {SCHEMA!r}")
            for kept in (file.waivers, file.attestations):
                for answer in kept.values():
                    _parse_day(answer.until or "9999-12-31")
        except (msgspec.MsgspecError, ValueError) as error:
            raise SnapshotError(
                f"{self.path} is damaged ({error}); nothing was read from it or changed. Mend it, "
                "or move it away to begin without answers."
            ) from error
        return file


def _holding(answer: Kept | None) -> Kept | None:
    if answer is None or (answer.until and date.today() > _parse_day(answer.until)):
        return None
    return answer


def _day(step_id: str, until: str) -> str:
    """Raises `SnapshotError` where it is no date."""
    try:
        return until and _parse_day(until).isoformat()
    except ValueError:
        raise SnapshotError(
            f"{until!r} is no date such as 2027-01-31; the answer for {step_id} was not kept."
        ) from None


def _parse_day(until: str) -> date:
    return date.fromisoformat(until)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
