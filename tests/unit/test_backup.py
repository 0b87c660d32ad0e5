"""What backs up and when it last did; a restored copy that must be the same."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Completed, FileState, HostError
from host.facts import FactUnavailable
from host.facts.backup_jobs import (
    Job,
    is_backup,
    newest_s,
    parse_cron,
    parse_script,
    parse_shown,
    targets,
    when,
)
from host.facts.mariadb import Server
from host.local import LocalHost
from host.restore_test import FOLDER, Result, Table, clear, differing, measure
from snapshots.model import TestRestore, WriteFile
from steps.catalog_load import built_in
from steps.check import measure_step
from steps.resource import Context, StepError
from steps.resources import backup_own
from steps.resources.backup_schedule import BackupSchedule
from steps.resources.restore_test import PATH, RestoreTest, database_of_the_application
from tests.unit.given import RELEASES, context, packages, recorded

NOW = "2026-11-25T10:00:00+00:00"


def test_cron_lines_that_back_up() -> None:
    text = (
        "SHELL=/bin/sh\n# 1 2 * * * root mysqldump old\n"
        "1 2 * * * root mysqldump --all-databases > /srv/dumps/all.sql\n"
        "@daily root /usr/local/bin/backup-web.sh\n"
        "5 5 * * * root apt-get update\n"
    )
    jobs = list(parse_cron("/etc/cron.d/site", text, with_user=True))
    assert [(job.name, job.origin, job.places) for job in jobs] == [
        ("mysqldump", "/etc/cron.d/site:3", ("/srv/dumps",)),
        ("backup-web.sh", "/etc/cron.d/site:4", ()),
    ]
    (mine,) = parse_cron("/var/spool/cron/crontabs/root", "0 1 * * * borg create", with_user=False)
    assert mine.name == "borg"


@given(st.text(), st.booleans())
def test_any_crontab(text: str, with_user: bool) -> None:
    list(parse_cron("/f", text, with_user=with_user))
    parse_script("/etc/cron.daily/x", text)
    parse_shown(text)
    when(text)
    targets(text)


@pytest.mark.parametrize(
    ("name", "command", "backs_up"),
    [
        ("borgmatic", "", True),
        ("nightly-backup", "", True),
        ("dpkg-db-backup", "", False),
        ("dpkg", "", False),
        ("harbor", "", False),
        ("site", "restic backup /etc", True),
        ("logrotate", "", False),
    ],
)
def test_names(name: str, command: str, backs_up: bool) -> None:
    assert is_backup(name, command) is backs_up


def test_a_script_is_read_without_its_comments() -> None:
    assert parse_script("/etc/cron.daily/logs", "#!/bin/sh\n# no mysqldump here\ntrue\n") is None
    job = parse_script("/etc/cron.daily/automysqlbackup", "#!/bin/sh\n/usr/sbin/automysqlbackup\n")
    assert job is not None
    assert job.places == ("/var/lib/automysqlbackup",)


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_units(release: str) -> None:
    shown = parse_shown(recorded(release, "units/backup-show"))
    assert set(shown) >= {"dpkg-db-backup.timer", "dpkg-db-backup.service"}
    assert when(shown["dpkg-db-backup.timer"]["LastTriggerUSec"]) == 0
    ran = when(shown["phpsessionclean.service"]["ExecMainExitTimestamp"])
    assert ran > 1.7e9
    assert abs(when(shown["phpsessionclean.timer"]["LastTriggerUSec"]) - ran) < 5
    assert when("@1764100000") == 1764100000


def schedule(**body: Any) -> BackupSchedule:
    return BackupSchedule.parse("backup.schedule", body)


def timer(last_s: float, *, failed: bool = False) -> Job:
    return Job(
        kind="timer", name="restic.timer", what="restic.service", origin="x", last_s=last_s,
        failed=failed,
    )  # fmt: skip


def with_jobs(directory: Path, *jobs: Job, **more: Any) -> Context:
    return context(directory, backup_jobs=jobs, units={}, **more)


def test_a_job_that_ran_lately_is_enough(tmp_path: Path) -> None:
    unclear = Job(kind="cron", name="odd", what="odd", origin="/etc/crontab:3")
    ctx = with_jobs(tmp_path, timer(time.time() - 3600), unclear)
    found = schedule().observe(ctx)
    assert [(one.ok, one.applicable) for one in found] == [(True, True), (None, False)]
    assert schedule().told(found).startswith("restic.timer last ran 20")
    assert schedule().plan(ctx).changes == ()


@pytest.mark.parametrize(
    ("job", "ok"),
    [
        (timer(time.time() - 5 * 86400), False),
        (timer(time.time(), failed=True), False),
        (timer(0), None),
    ],
)
def test_a_job_of_others_that_does_not_run_is_told_and_left(
    tmp_path: Path, job: Job, ok: bool | None
) -> None:
    ctx = with_jobs(tmp_path, job)
    assert [one.ok for one in schedule().observe(ctx)] == [ok]
    planned = schedule().plan(ctx)
    assert planned.changes == ()
    assert "No second job" in planned.notes[0]


def test_evidence_of_a_backup_from_elsewhere(tmp_path: Path) -> None:
    ctx = with_jobs(tmp_path)
    ctx.host.put("/srv", FileState(kind="dir", mode=0o755)) if not ctx.host.state("/srv") else None
    ctx.host.put("/srv/copies", FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/srv/copies/a.tar", b"content")
    assert newest_s(ctx.host, ["/srv/copies"]) > time.time() - 60
    assert [one.ok for one in schedule(evidence=["/srv/copies"]).observe(ctx)] == [True]


@pytest.mark.parametrize(("free", "refused"), [(10**12, False), (1000, True)])
def test_a_dump_that_could_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, refused: bool
) -> None:
    monkeypatch.setattr("steps.resources.backup_schedule.free_bytes", lambda host, folder: free)
    monkeypatch.setattr("steps.resources.backup_schedule.ask", lambda host, sql: [["5000000.0"]])
    planned = schedule().plan(with_jobs(tmp_path, mariadb=Server({})))
    assert bool(planned.refusals) is refused
    assert bool(planned.changes) is not refused


def test_our_own_job_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.resources.backup_schedule._no_room", lambda ctx, folder: "")
    ctx = with_jobs(tmp_path, mariadb=Server({}))
    assert [one.ok for one in schedule().observe(ctx)] == [False]
    planned = schedule(keep=3, time="04:00", folder="/srv/dumps").plan(ctx)
    files = {change.path: change for change in planned.changes if isinstance(change, WriteFile)}
    assert set(files) == {
        backup_own.SCRIPT,
        "/etc/systemd/system/harden-tui-backup.service",
        "/etc/systemd/system/harden-tui-backup.timer",
    }
    assert files[backup_own.SCRIPT].mode == 0o700
    assert b"keep=3" in files[backup_own.SCRIPT].content
    assert (
        b"OnCalendar=*-*-* 04:00:00" in files["/etc/systemd/system/harden-tui-backup.timer"].content
    )


def test_without_mariadb_no_job_is_set_up(tmp_path: Path) -> None:
    ctx = with_jobs(tmp_path, mariadb=FactUnavailable("MariaDB does not run"))
    assert schedule().plan(ctx).refusals == ("No job can be set up: MariaDB does not run.",)


def test_our_own_job_without_a_dump_does_not_count(tmp_path: Path) -> None:
    own = Job(kind="timer", name=backup_own.TIMER, what=backup_own.SERVICE, origin="x", last_s=9e9)
    (finding,) = schedule().observe(with_jobs(tmp_path, own))
    assert (finding.ok, finding.running) == (False, "left no dump")


@pytest.mark.parametrize(
    "body",
    [{"folder": "/"}, {"folder": "/a b/c"}, {"folder": "/srv/$(x)"}, {"time": "25:00"},
     {"evidence": ["relative"]}, {"evidence": ["/"]}],
)  # fmt: skip
def test_what_a_schedule_is_not(body: dict[str, Any]) -> None:
    with pytest.raises(StepError):
        schedule(**body)


def test_the_script_keeps_the_newest_and_fails_with_the_dump(tmp_path: Path) -> None:
    folder, programs = tmp_path / "dumps", tmp_path / "bin"
    programs.mkdir()
    fake = programs / "mariadb-dump"
    fake.write_text('#!/bin/sh\nfor a in "$@"; do case $a in --result-file=*) echo x'
                    ' >"${a#--result-file=}";; esac; done\nexit ${FAIL:-0}\n')  # fmt: skip
    fake.chmod(0o755)
    path = tmp_path / "backup.sh"
    path.write_text(backup_own.script(str(folder), 2))
    folder.mkdir()
    for day in ("01", "02", "03"):
        (folder / f"all-200101{day}T000000Z.sql.gz").write_text("old")
    (folder / "mine.sql.gz").write_text("somebody's own")
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    failing = subprocess.run(["sh", str(path)], env={**env, "FAIL": "3"}, check=False)
    assert failing.returncode == 3
    assert len(list(folder.iterdir())) == 4
    subprocess.run(["sh", str(path)], env=env, check=True)
    names = sorted(one.name for one in folder.iterdir())
    assert names[0] == "all-20010103T000000Z.sql.gz"
    assert len(names) == 3
    assert names[-1] == "mine.sql.gz"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_differences_of_a_copy() -> None:
    before = {"a": Table(3, "11"), "b": Table(1, "22"), "v": Table(-1, ""), "log": Table(9, "5")}
    same = dict(before)
    assert differing(before, same, ()) == []
    assert differing(before, {**same, "a": Table(2, "11")}, ()) == ["a"]
    assert differing(before, {k: v for k, v in same.items() if k != "v"}, ()) == ["v"]
    assert differing(before, {**same, "log": Table(10, "6")}, ("log",)) == []
    assert differing(before, {k: v for k, v in same.items() if k != "log"}, ("log",)) == ["log"]
    assert differing(before, {**same, "new": Table(0, "0")}, ()) == ["new"]


class Restoring(LocalHost):
    """A machine whose MariaDB has one table; its restored copy has `copied` rows."""

    def __init__(self, copied: int, *, free: int = 10**12) -> None:
        super().__init__()
        self.copied, self.free = copied, free
        self.databases = {"shop"}
        self.argv: list[tuple[str, ...]] = []

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        if path.startswith(FOLDER):
            return FileState(kind="file", size_bytes=77, sha256=path if content else "")
        return super().state(path, content=content)

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        self.argv.append(tuple(argv))
        return Completed(tuple(argv), 0, self._answer(argv, more.get("stdin", b"").decode()), "", 0)

    def _answer(self, argv: Sequence[str], text: str) -> str:
        if argv[0] == "df":
            return f"    Avail\n{self.free}\n"
        if argv[0] != "mariadb":
            return ""
        if "CREATE DATABASE" in text:
            self.databases.add(text.rpartition("CREATE DATABASE `")[2].partition("`")[0])
        elif "DROP DATABASE" in text:
            self.databases.discard(text.rpartition("DROP DATABASE `")[2].partition("`")[0])
        if "@@datadir" in text:
            return "/var/lib/mysql/\t16384\t1\n"
        if "DEFAULT_COLLATION_NAME" in text:
            return "utf8mb4\tutf8mb4_general_ci\n"
        if "LEFT(SCHEMA_NAME" in text:
            return "".join(f"{name}\n" for name in sorted(self.databases) if name != "shop")
        if "TABLE_TYPE" in text:
            return "goods\tBASE TABLE\n"
        if "CHECKSUM" in text:
            count = self.copied if "harden_tui_scratch_" in text else 4
            return f"goods\t{count}\nx.goods\t{count * 7}\n"
        return ""


def test_a_copy_that_is_the_same() -> None:
    host = Restoring(4)
    result = measure(host, "shop", lambda what: None)
    assert (result.tables, result.rows, result.bytes_, result.busy) == (1, 4, 77, ())
    assert host.databases == {"shop"}
    assert ("rm", "-rf", "--one-file-system", "--", FOLDER) in host.argv
    assert not any("password" in word for argv in host.argv for word in argv)


def test_a_copy_that_lacks_a_row_is_no_backup_and_goes_all_the_same() -> None:
    host = Restoring(3)
    with pytest.raises(HostError, match=r"goods has 3 rows .* instead of 4 rows"):
        measure(host, "shop", lambda what: None)
    assert host.databases == {"shop"}


def test_what_a_killed_run_left_is_taken_away() -> None:
    host = Restoring(4)
    host.databases |= {"harden_tui_scratch_00ff", "harden_tui_scratch_of_mine"}
    clear(host)
    assert host.databases == {"shop", "harden_tui_scratch_of_mine"}


def test_too_little_room_begins_nothing() -> None:
    host = Restoring(4, free=1000)
    with pytest.raises(HostError, match="too little room"):
        measure(host, "shop", lambda what: None)
    assert not any("mariadb-dump" in argv for argv in host.argv)


def measured_on(directory: Path, result: Result | None, *databases: str) -> Context:
    ctx = context(
        directory,
        mariadb=Server({}, databases=databases or ("shop",)),
        packages=packages("mariadb-server"),
    )
    if result is not None:
        above = ""
        for part in PATH.split("/")[1:-1]:
            above += f"/{part}"
            if ctx.host.state(above) is None:
                ctx.host.put(above, FileState(kind="dir", mode=0o755))
        ctx.host.write_file(PATH, msgspec.json.encode(result))
    return ctx


def result_of(when: str, database: str = "shop") -> Result:
    return Result(database=database, when=when, seconds=1.5, tables=2, rows=9, bytes_=100)


def test_a_test_counts_until_it_runs_out(tmp_path: Path) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    resource = RestoreTest("shop", 90)
    for number, (result, ok) in enumerate(
        (
            (result_of(now), True),
            (result_of("2001-01-01T00:00:00+00:00"), False),
            (result_of("2999-01-01T00:00:00+00:00"), False),
            (result_of("nonsense"), False),
            (result_of(now, "other"), False),
            (None, False),
        )
    ):
        ctx = measured_on(tmp_path / str(number), result)
        assert [one.ok for one in resource.observe(ctx)] == [ok]
    assert "2 tables, 9 rows the same, in 1.5 s" in resource.observe(
        measured_on(tmp_path / "again", result_of(now))
    )[0].running  # fmt: skip


def test_a_passing_check_tells_what_was_measured(tmp_path: Path) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    ctx = measured_on(tmp_path, result_of(now))
    step = built_in()[0]["backup.restore-test"]
    result = measure_step(step, [RestoreTest("shop", 90)], [], ctx)
    assert (result.status, "9 rows the same, in 1.5 s" in result.note) == ("pass", True)


def test_a_damaged_answer_is_none(tmp_path: Path) -> None:
    ctx = measured_on(tmp_path, result_of(NOW))
    ctx.host.write_file(PATH, b"{")
    assert RestoreTest("shop", 90).observe(ctx)[0].running == "never tested"


def test_the_default_is_the_applications_database(tmp_path: Path) -> None:
    for names, chosen in (
        (("information_schema", "mysql", "sys"), ""),
        (("mysql", "shop", "idoit_system", "idoit_data"), "idoit_data"),
        (("zeta", "shop", "test"), "shop"),
    ):
        assert database_of_the_application(measured_on(tmp_path, None, *names).facts) == chosen


def test_no_database_is_nothing_to_test(tmp_path: Path) -> None:
    (finding,) = RestoreTest("", 90).observe(measured_on(tmp_path, None))
    assert not finding.applicable
    assert RestoreTest("", 90).plan(measured_on(tmp_path, None)).changes == ()


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert (
        "no database gone" in RestoreTest("gone", 9).plan(measured_on(tmp_path, None)).refusals[0]
    )


@pytest.mark.parametrize("name", ["mysql", "a`b", "--all-databases", "a/b"])
def test_names_that_are_no_database_of_an_application(name: str) -> None:
    with pytest.raises(StepError):
        RestoreTest.parse("x", {"database": name})


def test_the_change_that_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.resources.restore_test.need_room", lambda host, name: None)
    planned = RestoreTest("shop", 90).plan(measured_on(tmp_path, None))
    assert planned.changes == (TestRestore(database="shop", path=PATH),)
