"""The pure parts of update windows: units, hooks, reports, times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState, Host, HostError, Service
from host.dumps import Kept, restore
from host.facts.running_versions import locked_version
from host.local import LocalHost
from snapshots import window_units
from snapshots.debs import KeptDebs
from snapshots.domains.units import value_of
from snapshots.model import Delta, FileItem, Root, SnapshotError, ValueItem
from snapshots.progress import Progress, Silent
from snapshots.state import StateDir
from snapshots.windows import daemons_of
from steps import window_hold, window_report, window_store
from steps.catalog_load import built_in
from steps.model import StepResult
from steps.window_model import Seal, Waiting, Window
from steps.window_open import seconds_of
from steps.window_seals import captured
from tui.window_text import left

DEADLINE = datetime(2026, 11, 26, 14, 3, 20, tzinfo=UTC)


def window(**more: object) -> Window:
    bare = Window(id="x", state="open", opened="2026-11-26T10:03:20+00:00",
                  deadline=DEADLINE.isoformat())  # fmt: skip
    return msgspec.structs.replace(bare, **more)


def test_the_units_fire_at_the_deadline_after_boot_and_every_few_minutes() -> None:
    units = window_units.units(("/usr/bin/harden-tui", "--state-dir", "/var/a b%$c"), DEADLINE)
    timer = units["harden-tui-window.timer"].splitlines()
    assert "OnCalendar=2026-11-26 14:03:20 UTC" in timer
    assert "OnUnitInactiveSec=5min" in timer
    assert "OnBootSec=1min" in timer
    service = units["harden-tui-window.service"]
    words = '/usr/bin/harden-tui --state-dir "/var/a b%%$$c" window close --at-deadline --yes'
    assert f"ExecStart={words}\n" in service


def test_a_deadline_in_another_zone_is_written_in_utc() -> None:
    elsewhere = DEADLINE.astimezone(tz=None)
    assert window_units.units(("x",), elsewhere) == window_units.units(("x",), DEADLINE)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400), ("4h", 14400), ("2d", 172800), ("60s", 60), (" 1h ", 3600),
        ("59s", 0), ("8d", 0), ("4", 0), ("-1h", 0), ("1.5h", 0), ("", 0), ("h", 0),
    ],
)  # fmt: skip
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@given(st.text())
def test_times_never_raise(text: str) -> None:
    assert 0 <= seconds_of(text) <= 7 * 86400


def test_how_long_is_left() -> None:
    assert window().left_s(DEADLINE - timedelta(hours=1)) == 3600
    assert window().left_s(DEADLINE + timedelta(seconds=5)) == -5
    assert [left(s) for s in (12000, 240, 5, -3)] == [
        "3 h 20 min", "4 min", "less than a minute", "0 min",
    ]  # fmt: skip


APT = """\
VERSION 2
APT::Architecture=amd64
DPkg::Pre-Install-Pkgs::=/usr/bin/harden-tui window keep-packages || true

apache2 2.4.62-1 < 2.4.65-1 /var/cache/apt/archives/apache2_2.4.65-1_amd64.deb
curl - < 8.14.1-2 /srv/repo/./curl_8.14.1-2_amd64.deb
apache2 2.4.62-1 < 2.4.65-1 **CONFIGURE**
less 668-1 > - **REMOVE**
"""


def test_what_apt_is_about_to_replace_or_remove() -> None:
    assert window_hold.replaced(APT.splitlines()) == {"apache2": "2.4.62-1", "less": "668-1"}


@given(st.lists(st.text()))
def test_what_apt_says_never_raises(lines: list[str]) -> None:
    window_hold.replaced(lines)


def test_what_is_held_back() -> None:
    program = ("/usr/bin/harden-tui", "--state-dir", "/var/a b")
    files = window_hold.files(program, has_needrestart=True, has_apt=True)
    assert "$nrconf{restart} = 'l';" in files[window_hold.NEEDRESTART]
    apt = files[window_hold.APT]
    command = "/usr/bin/harden-tui --state-dir '/var/a b' window keep-packages || true"
    assert f'DPkg::Pre-Install-Pkgs {{ "{command}"; }};' in apt
    assert 'DPkg::Tools::Options::/usr/bin/harden-tui::Version "2";' in apt
    assert window_hold.files(program, has_needrestart=False, has_apt=False) == {}
    # A word that apt could not read back is not written at all.
    assert window_hold.files(('/x"y',), has_needrestart=False, has_apt=True) == {}


def file(sha256: str = "", mode: int = 0o644) -> FileItem:
    return FileItem(FileState("file", mode, sha256=sha256))


DELTAS = [
    Delta("packages", "apache2", ValueItem("1;manual"), ValueItem("2;manual")),
    Delta("packages", "curl", None, ValueItem("8;auto")),
    Delta("packages", "less", ValueItem("668;manual"), ValueItem("config-files")),
    Delta("packages", "only-its-mark", ValueItem("3;manual"), ValueItem("3;auto")),
    Delta("units", "cron.service", ValueItem("active"), ValueItem("inactive")),
    Delta("files", "/etc/hosts", file("a"), file("b")),
    Delta("files", "/srv/app/new.php", None, file("c")),
    Delta("files", "/srv/app/old.php", file("d"), None),
    Delta("files", "/srv/app/mode.php", file("e"), file("e", 0o600)),
    Delta("files", "/srv/application", None, file("f")),
]


def test_what_changed_is_counted() -> None:
    packages = [(c.name, c.before, c.after) for c in window_report.packages(DELTAS)]
    assert packages == [("apache2", "1", "2"), ("curl", "", "8"), ("less", "668", "")]
    units = [(c.name, c.before, c.after) for c in window_report.units(DELTAS)]
    assert units == [("cron.service", "active", "inactive")]
    files = {
        one.top: (one.new, one.gone, one.edited, one.attributes)
        for one in window_report.files(DELTAS, ("/etc", "/srv/app"))
    }
    assert files == {"/": (1, 0, 0, 0), "/etc": (0, 0, 1, 0), "/srv/app": (1, 1, 0, 1)}
    ports = window_report.ports(["tcp :: 80"], ["tcp :: 80", "tcp :: 443"])
    assert [(c.name, c.before, c.after) for c in ports] == [("tcp :: 443", "", "listens")]


def test_what_is_worse_than_before() -> None:
    results = [
        StepResult(id=name, stage="pre-install", title=name, status=status)  # type: ignore[arg-type]
        for name, status in (("a", "pass"), ("b", "fail"), ("c", "fail"), ("d", "unknown"))
    ]
    assert [one.step for one in window_report.worse(["a", "b", "d"], results)] == ["b", "d"]
    assert window_report.counted(results) == {"fail": 2, "pass": 1, "unknown": 1}


def test_which_daemons_take_their_old_configuration() -> None:
    changed = [
        Delta("files", path, file("a"), file("b"))
        for path in ("/etc/apache2/x.conf", "/etc/php/8.4/fpm/php.ini", "/etc/ssh/sshd_config")
    ]
    validations, activations = daemons_of(changed)
    assert [v.argv for v in validations] == [("apache2ctl", "configtest"), ("sshd", "-t")]
    assert [(a.how, a.unit) for a in activations] == [
        ("restart", "apache2.service"), ("restart", "php8.4-fpm.service"),
        ("reload", "ssh.service"),
    ]  # fmt: skip
    assert daemons_of([Delta("files", "/srv/x", None, file("a"))]) == ((), ())


def test_what_the_application_writes_is_not_captured() -> None:
    seal = Seal(step="app.tree", values={"writable": ["log", "upload/"]}, roots=("/srv/app",))
    assert captured([seal]) == (Root("/srv/app", True, ("/srv/app/log", "/srv/app/upload")),)


def test_a_walk_leaves_directories_out(tmp_path: Path) -> None:
    for name in ("log/a.log", "src/b.php"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    left_out = frozenset({f"{tmp_path}/log"})
    seen = {
        path.removeprefix(str(tmp_path))
        for path, _ in LocalHost().walk(str(tmp_path), content=True, without=left_out)
    }
    assert seen == {"", "/log", "/src", "/src/b.php"}


def test_where_it_stands_survives_and_a_damaged_file_is_said(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert window_store.read(state) is None
    waiting = Waiting(since="2026-11-26T14:03:20+00:00", writers=("x",))
    seal = Seal(step="app.tree", values={"path": "/srv/app", "writable": ["log"]})
    written = window(waiting=waiting, seals=(seal,))
    window_store.write(state, written)
    assert window_store.read(state) == written
    (state.path / "window.json").write_bytes(b"{")
    assert window_store.read(state) == written
    (state.path / "window-copy.json").unlink()
    with pytest.raises(SnapshotError, match=r"window\.json cannot be read"):
        window_store.read(state)
    window_store.forget(state)
    assert window_store.read(state) is None


def test_who_works_on_a_window_holds_the_lock(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert not window_store.was_interrupted(state, window())
    assert window_store.was_interrupted(state, window(state="closing"))
    with state.lock("window close"):
        assert not window_store.was_interrupted(state, window(state="closing"))


def test_the_version_that_composer_locked() -> None:
    text = '{"packages": [{"name": "x/y", "version": "1"}, {"name": "a/b", "version": "v13.4.2"}]}'
    assert locked_version(text, "a/b") == "13.4.2"
    assert [locked_version(t, "a/b") for t in ("", "{}", "[]", '{"packages": [1]}')] == [""] * 4


def test_a_dump_that_is_not_whole_is_never_read_back(tmp_path: Path) -> None:
    dump = tmp_path / "shop.sql"
    dump.write_text("CREATE TABLE t (a INT);\n")
    said: list[str] = []
    with pytest.raises(HostError, match="not whole"):
        restore(LocalHost(), "shop", str(dump), Kept(24, "0" * 64), said.append)
    dump.write_text("CREATE TABLE t (a INT);\n-- Dump completed\n")
    with pytest.raises(HostError, match="altered"):
        restore(LocalHost(), "shop", str(dump), Kept(24, "0" * 64), said.append)
    assert said == []


def test_only_trees_seal() -> None:
    steps, _ = built_in()
    assert "app.tree" in [step.id for step in steps.values() if step.seals]


def test_the_timer_of_a_window_is_part_of_no_restore_point() -> None:
    assert value_of(Service("harden-tui-window.timer", "", "active", "waiting", "enabled")) == ""


def test_one_package_that_cannot_be_kept_keeps_no_other_from_it(tmp_path: Path) -> None:
    kept: list[str] = []

    class Debs(KeptDebs):
        def keep(self, host: Host, versions: Mapping[str, str], progress: Progress) -> None:
            if "broken" in versions:
                raise SnapshotError("dpkg-deb failed")
            kept.extend(versions)

    going = {"apache2": "2.4.62-1", "broken": "1", "less": "668-1"}
    lost = window_hold.keep(LocalHost(), Debs(tmp_path), going, Silent())
    assert lost == ["broken"]
    assert kept == ["apache2", "less"]
