"""Where guided runs stand: one for each stage of a checklist, whoever of the administrators leads.

Kept in `guides.json` of the state directory, so that another person resumes where one stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from snapshots.guide_model import Guide, Later
from snapshots.kept_json import changing
from snapshots.model import SnapshotError
from snapshots.state import StateDir

SCHEMA = "harden-tui/guides/1"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: str = SCHEMA
    guides: list[Guide] = []


class Guides:
    """The guided runs of one host. Raises `SnapshotError` naming the file where it is broken.

    What another process wrote meanwhile is kept: each change reads the file anew under a lock.
    """

    def __init__(self, state: StateDir) -> None:
        self.path = state.path / "guides.json"

    def all(self) -> list[Guide]:
        """Every run, also those that ended."""
        return self._load().guides

    def of_checklist(self, checklist: str) -> list[Guide]:
        """The runs through the stages of a checklist."""
        return [one for one in self.all() if one.checklist == checklist]

    def of(self, checklist: str, stage: str) -> Guide:
        """The run through a stage; an empty one where there was none."""
        return _of(self.all(), checklist, stage)

    def stand_at(self, checklist: str, stage: str, step_id: str, *, by: str) -> Guide:
        """The run goes on at a step; one that ended, or never was, begins anew with it."""
        now = _now()

        def moved(guide: Guide) -> Guide:
            if not guide.goes_on:
                guide = Guide(checklist=checklist, stage=stage, began=now)
            later = {name: one for name, one in guide.later.items() if name != step_id}
            return msgspec.structs.replace(guide, at=step_id, by=by, when=now, later=later)

        return self._change(checklist, stage, moved)

    def put_off(self, checklist: str, stage: str, step_id: str, *, by: str) -> Guide:
        """The step is left for later, and not come to again before the run is over."""
        now = _now()

        def moved(guide: Guide) -> Guide:
            if not guide.goes_on:
                guide = Guide(checklist=checklist, stage=stage, began=now, at=step_id)
            later = {**guide.later, step_id: Later(by=by, when=now)}
            return msgspec.structs.replace(guide, by=by, when=now, later=later)

        return self._change(checklist, stage, moved)

    def end(self, checklist: str, stage: str, *, by: str) -> Guide:
        """The run came to its end; what was put off stays known until the next one begins."""
        now = _now()
        return self._change(
            checklist, stage,
            lambda guide: msgspec.structs.replace(guide, by=by, when=now, ended=now),
        )  # fmt: skip

    def forget(self, checklist: str, stage: str) -> Guide:
        """As if nobody had ever been led through the stage."""
        return self._change(checklist, stage, lambda _: Guide(checklist=checklist, stage=stage))

    def _change(self, checklist: str, stage: str, how: Callable[[Guide], Guide]) -> Guide:
        otherwise = "where the guided run stands was not kept, and nothing else was touched."
        with changing(self.path, self._load, otherwise) as file:
            changed = how(_of(file.guides, checklist, stage))
            which = (checklist, stage)
            others = [one for one in file.guides if (one.checklist, one.stage) != which]
            file.guides = [*others, changed]
        return changed

    def _load(self) -> _File:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return _File(guides=[])
        except OSError as error:
            raise SnapshotError(f"{self.path} cannot be read: {error.strerror}.") from error
        try:
            file = msgspec.json.decode(content, type=_File)
            if file.schema != SCHEMA:
                raise msgspec.ValidationError(f"schema is {file.schema!r}, expected {SCHEMA!r}")
        except msgspec.MsgspecError as error:
            raise SnapshotError(
                f"{self.path} is damaged ({error}); nothing was read from it or changed. Move it "
                "away: guided runs then begin anew, and nothing else is lost."
            ) from error
        return file


def _of(guides: list[Guide], checklist: str, stage: str) -> Guide:
    return next(
        (one for one in guides if (one.checklist, one.stage) == (checklist, stage)),
        Guide(checklist=checklist, stage=stage),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
