"""Logins with the password they came with: found by their hashes, locked where somebody says so."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.app_config import Access, Login
from host.base import Completed, HostError
from host.facts.app_database import Database
from host.facts.app_jobs import Job, parse_jobs
from host.facts.app_logins import OWN_NAME, Person, _Asked, _judged, quick
from host.facts.applications import Application
from host.local import LocalHost
from host.password_verify import SCRIPT, fits_md5, is_md5, verify
from host.secret_text import Secret
from snapshots.model import RunSql
from steps.resource import Context
from steps.resources.default_logins import DefaultLogins
from tests.unit.given import context

PATH = "/var/www/html/i-doit"
APP = Application("i-doit", PATH, PATH, (f"{PATH}/src/config.inc.php",))
ADMIN_MD5 = "21232f297a57a5a743894a0e4a801fc3"
BCRYPT = "$2y$04$abcdefghijklmnopqrstuu"
PERSON = Person(PATH, APP.label, "i-doit", "idoit_data", "7", "admin", weak=OWN_NAME)


def test_what_a_hash_alone_tells() -> None:
    assert is_md5(ADMIN_MD5)
    assert fits_md5("admin", ADMIN_MD5.upper())
    assert quick("i-doit", "admin", ADMIN_MD5) == OWN_NAME
    assert quick("i-doit", "anna", ADMIN_MD5) == ""
    assert quick("typo3", "anna", ADMIN_MD5) == "one that everybody knows"
    assert "MD5" in quick("typo3", "anna", "0" * 32)
    assert quick("typo3", "anna", "") == "none at all"
    assert quick("i-doit", "systemapi", "") == ""
    assert quick("i-doit", "admin", BCRYPT) == ""


class Php(LocalHost):
    """PHP's answer is given."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer, self.asked = answer, b""

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        self.asked = more["stdin"]
        assert not any("salted" in word for word in argv)
        return Completed(tuple(argv), 0, self.answer, "", 0.0)


def asked(name: str = "admin", hashed: str = BCRYPT, *candidates: str) -> _Asked:
    person = msgspec.structs.replace(PERSON, name=name, weak="")
    return _Asked(person, hashed, tuple(map(Secret, candidates)))


def test_new_hashes_are_asked_of_php_at_once() -> None:
    php = Php("[true,false]")
    persons = [
        asked("admin", BCRYPT, "salted-admin", "salted-md5"),
        asked("reader", BCRYPT, "salted-reader", "salted-md5"),
        asked("guest", "084e0343a0486ff05530df6c705c8bb4", "salted-guest"),
        asked("editor", BCRYPT),
    ]
    found = list(_judged(php, persons))
    assert [one.weak for one in found] == [OWN_NAME, "", OWN_NAME, ""]
    assert [one.untried for one in found] == [False, False, False, True]
    assert php.asked.count(b"salted") == 4
    assert php.asked.count(BCRYPT.encode()) == 2


@pytest.mark.parametrize("answer", ["", "[true,true,true]", "no json"])
def test_without_an_answer_it_is_not_known(answer: str) -> None:
    (one,) = _judged(Php(answer), [asked("admin", BCRYPT, "admin", "salted", "old")])
    assert one.weak is None
    assert "PHP could not" in one.problem
    with pytest.raises(HostError):
        verify(Php(answer), [(BCRYPT, [Secret("a")]), (BCRYPT, [Secret("b")])])


@pytest.mark.skipif(shutil.which("php") is None, reason="there is no PHP to be asked")
def test_php_itself_answers() -> None:
    done = LocalHost().run(
        ("php", "-r", SCRIPT), stdin=b'[["$2y$04$........................",["a","c"]],["x",["b"]]]'
    )
    assert done.stdout == "[false,false]"


@pytest.mark.parametrize(
    ("line", "users"),
    [
        ("0 * * * * www-data php /x/console.php sync --user admin --password admin", ["admin"]),
        ("ExecStart=/x/controller -v -m a --user='re ad' -p x", []),
        ("ExecStart=/x/controller -m a --user='reader' -p x", ["reader"]),
        ("sudo -u www-data php /x/console.php --help", []),
        ("php /x/console.php search -u guest -p guest", ["guest"]),
        ("# php /x/console.php --user admin --password admin", []),
        ("php /x/other.php --user admin", []),
        ("php /x/console.php a \\\n  --user \\\n  author --password author", ["author"]),
    ],
)
def test_jobs_that_log_in(line: str, users: list[str]) -> None:
    assert [job.user for job in parse_jobs("/etc/cron.d/x", f"\n{line}\n")] == users
    assert all(job.at == "/etc/cron.d/x:2" for job in parse_jobs("/etc/cron.d/x", f"\n{line}\n"))


@given(st.text())
def test_any_file_has_jobs_or_none(text: str) -> None:
    for job in parse_jobs("/x", f"console.php --user {text}"):
        assert job.user


def on_a_host(directory: Path, *persons: Person, **more: Any) -> Context:
    there = Access(Login("idoit", Secret("x")), "idoit_system", 3)
    answers: dict[str, Any] = {
        "app_databases": (Database(APP, APP.config[0], there),),
        "app_persons": persons,
        "idoit_jobs": (),
    }
    return context(directory, **{**answers, **more})


def parsed(**body: Any) -> DefaultLogins:
    return DefaultLogins.parse("app.default-logins", body)


def test_without_a_choice_it_only_reports(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, PERSON)
    (finding,) = parsed().observe(ctx)
    assert (finding.ok, finding.running) == (False, OWN_NAME)
    planned = parsed().plan(ctx)
    assert planned.changes == ()
    assert "--set app.default-logins.change=admin" in planned.refusals[0]


def test_what_is_chosen_is_locked_in_one_statement_a_tenant(tmp_path: Path) -> None:
    reader = msgspec.structs.replace(PERSON, name="reader", number="3")
    other = msgspec.structs.replace(PERSON, database="idoit_two")
    ctx = on_a_host(tmp_path, PERSON, reader, other)
    planned = parsed(change=["admin", "reader"]).plan(ctx)
    assert planned.refusals == ()
    first, second = (c for c in planned.changes if isinstance(c, RunSql))
    assert first.sql[0].endswith("WHERE isys_cats_person_list__id IN (7, 3)")
    assert "RANDOM_BYTES" in first.sql[0]
    assert "`idoit_two`" in second.sql[0]
    assert [root.path.rpartition("/var/lib/mysql/")[2] for root in planned.roots] == [
        "idoit_data/isys_cats_person_list/3,7",
        "idoit_two/isys_cats_person_list/7",
    ]
    disabled = parsed(change=["admin", "reader"], how="disable").plan(ctx)
    assert all("cannot disable" in why for why in disabled.refusals)


def test_what_is_kept_does_not_count(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, PERSON)
    (finding,) = parsed(keep=["admin"]).observe(ctx)
    assert not finding.applicable
    assert parsed(keep=["admin"]).plan(ctx).refusals == ()


def test_a_job_that_logs_in_is_named_and_not_cut_off(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, PERSON, idoit_jobs=(Job("/etc/cron.d/i-doit:3", "admin"),))
    (finding,) = parsed().observe(ctx)
    assert finding.note == "used by /etc/cron.d/i-doit:3"
    planned = parsed(change=["admin"]).plan(ctx)
    assert "/etc/cron.d/i-doit:3 logs in as admin and would fail" in planned.refusals[0]


def test_what_was_not_tried_does_not_count(tmp_path: Path) -> None:
    untried = msgspec.structs.replace(PERSON, weak="", untried=True)
    (finding,) = parsed().observe(on_a_host(tmp_path, untried))
    assert not finding.applicable
    assert "thorough" in finding.note
    assert parsed(thorough=True).persons.name == "app-persons thorough"


def test_a_change_looks_at_all_of_them_and_proves_those_it_changed(tmp_path: Path) -> None:
    untried = msgspec.structs.replace(PERSON, name="reader", weak="", untried=True)
    ctx = on_a_host(tmp_path)
    ctx.facts.given = {  # type: ignore[attr-defined]  # of two facts the longer name first
        "app-persons thorough": (msgspec.structs.replace(untried, weak=OWN_NAME, untried=False),),
        **ctx.facts.given,  # type: ignore[attr-defined]
        "app-persons": (untried,),
    }
    resource = parsed(change=["reader"])
    assert len(resource.plan(ctx).changes) == 1
    assert [(one.ok, one.applicable) for one in resource.prove(ctx)] == [(False, True)]
    assert parsed().prove(ctx) == []


def test_a_disabled_login_is_none(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, msgspec.structs.replace(PERSON, enabled=False))
    assert [one.ok for one in parsed().observe(ctx)] == [True]
    assert parsed(change=["admin"]).plan(ctx).changes == ()


def test_typo3_is_only_reported(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, msgspec.structs.replace(PERSON, kind="typo3", database="typo3"))
    planned = parsed(change=["admin"]).plan(ctx)
    assert planned.changes == ()
    assert "Backend Users" in planned.refusals[0]


def test_none_is_well_and_nobody_asked_is_unknown(tmp_path: Path) -> None:
    assert [one.ok for one in parsed().observe(on_a_host(tmp_path))] == [True]
    riddle = on_a_host(tmp_path, app_databases=(Database(APP, "/x", problem="a riddle"),))
    assert [(one.ok, one.note) for one in parsed().observe(riddle)] == [(None, "a riddle")]
    nothing = on_a_host(tmp_path, app_databases=())
    assert [one.applicable for one in parsed().observe(nothing)] == [False]
