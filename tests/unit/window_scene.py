"""A practice host whose application is sealed, for the tests of update windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from host.base import FLAG_IMMUTABLE
from host.practice import PracticeHost
from snapshots.sessionlog import SessionLog
from snapshots.state import StateDir
from steps import window
from steps.catalog_load import load_catalogue
from steps.engine import Engine
from steps.events import Event
from steps.window_model import Window

TREE = "/var/www/html/i-doit"
ETC = "/etc/ssh/sshd_config"


class Scene:
    """A practice host whose application is sealed; `engine` as a new process would have it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[Event] = []
        ended = self.engine().apply(["app.tree"])
        assert ended.exit == 0, ended.summary

    def engine(self) -> Engine:
        host = PracticeHost(self.directory / "host")
        state = StateDir(self.directory / "state")
        catalogue = load_catalogue(host)
        whole = catalogue.checklist("i-doit")
        wanted = ("files.banners", "app.tree", "window.close")
        few = [one for one in whole.choices if one.id in wanted]
        return Engine(
            host, state, catalogue, msgspec.structs.replace(whole, steps=few), {},
            self.events.append,
            log=SessionLog(state.log_dir, user="tester", host=host.name, syslog=False),
            user="tester",
        )  # fmt: skip

    @property
    def state(self) -> StateDir:
        return StateDir(self.directory / "state")

    @property
    def host(self) -> PracticeHost:
        return PracticeHost(self.directory / "host")

    def is_sealed(self, path: str = TREE) -> bool:
        state = self.host.state(path)
        return state is not None and bool(state.flags & FLAG_IMMUTABLE)

    def status(self, step: str) -> str:
        engine = self.engine()
        return engine.measure(engine.prepare(engine.catalogue.step(step))).status


def opened(scene: Scene, **more: Any) -> Window:
    ended = window.opening(scene.engine(), for_s=3600, **more)
    assert ended[0] == 0, ended[1]
    found = window.current(scene.state)
    assert found is not None
    return found


def update(scene: Scene) -> None:
    """What an administrator does in a window."""
    host = scene.host
    host.write_file(f"{TREE}/index.php", b"<?php // the new release\n")
    host.write_file(f"{TREE}/added.php", b"<?php // it came with it\n")
    host.write_file(ETC, host.read_bytes(ETC) + b"# by hand\n")


def files_of(scene: Scene) -> dict[str, tuple[object, ...]]:
    """Everything of /etc and the tree that counts, read without the code under test."""
    return {
        path: (s.kind, s.mode, s.uid, s.gid, s.flags, s.sha256, s.target)
        for top in ("/etc", TREE)
        for path, s in scene.host.walk(top, content=True)
    }
