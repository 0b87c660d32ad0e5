"""What of an application comes over HTTP, and how it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host.base import FileState, HttpAnswer
from host.facts.apache import Running
from host.facts.apache_http import Target
from host.facts.applications import Application
from host.facts.exposure import Place, Probed, Shown, _probe, judge, places
from host.facts.exposure_rules import Rule, rules_for
from snapshots.model import WriteFile
from steps.resource import Context
from steps.resources.web_exposure import WebExposure
from tests.unit.given import context

PATH = "/srv/cmdb"
IDOIT = Application("i-doit", PATH, PATH, (f"{PATH}/src/config.inc.php",))
STEP = WebExposure.parse("app.web-exposure", {})


def answer(status: int, body: bytes) -> HttpAnswer:
    return HttpAnswer(status, "", (), body)


@pytest.mark.parametrize(
    ("status", "body", "content", "url", "verdict"),
    [
        (200, b"[client]\npassword=x", b"[client]", "/my.ini", "shown"),
        (200, b"<html></html>", b"[client]", "/my.ini", "kept"),
        (403, b"[client]", b"[client]", "/my.ini", "kept"),
        (301, b"", b"[client]", "/my.ini", "kept"),
        (401, b"", b"[client]", "/my.ini", "kept"),
        (404, b"", b"x", "/x.php", "kept"),
        (200, b"", b"<?php $x = 1;", "/src/config.inc.php", "run"),
        (200, b"<?php $x = 1;", b"<?php $x = 1;", "/src/config.inc.php", "shown"),
        (200, b"<title>front page</title>", b"<?php $x = 1;", "/src/config.inc.php", "kept"),
        (200, b"", b"", "/empty.log", "shown"),
    ],
)
def test_what_an_answer_shows(
    status: int, body: bytes, content: bytes, url: str, verdict: str
) -> None:
    assert judge(answer(status, body), content, url) == verdict


def tree(directory: Path, *files: str) -> Context:
    ctx = context(directory)
    for name in files:
        above = PATH
        for part in ("", *name.split("/")[:-1]):
            above = f"{above}/{part}".rstrip("/")
            for folder in (above.rsplit("/", 1)[0], above):
                if folder and ctx.host.state(folder) is None:
                    ctx.host.put(folder, FileState(kind="dir", mode=0o755))
        ctx.host.write_file(f"{PATH}/{name}", b"x")
    return ctx


def test_only_what_is_there_is_asked_for(tmp_path: Path) -> None:
    ctx = tree(
        tmp_path, "src/config.inc.php", "src/config.inc.php.1700", "old.sql", "index.php",
        "temp/a.css", "temp/deep/b.tpl", "log/x.php", "log/y.log",
    )  # fmt: skip
    found = {
        place.path.removeprefix(f"{PATH}/"): place.sample.removeprefix(f"{PATH}/")
        for base, rule in rules_for(IDOIT)
        for place in places(ctx.host, base, rule)
    }
    assert found == {
        "src/config.inc.php": "src/config.inc.php",
        "src/config.inc.php.1700": "src/config.inc.php.1700",
        "old.sql": "old.sql",
        "temp": "temp/deep/b.tpl",
        "log": "log/y.log",
    }


def test_a_projects_own_directory_has_rules_of_its_own() -> None:
    typo3 = Application("typo3", "/srv/site", "/srv/site/public", (), "composer")
    bases = {base for base, _ in rules_for(typo3)}
    assert bases == {"/srv/site", "/srv/site/public"}
    assert ("/srv/site", "config") in {(base, rule.pattern) for base, rule in rules_for(typo3)}


def probed(rule: Rule, path: str, verdict: str, *, directory: bool) -> Probed:
    return Probed(
        IDOIT, Place(rule, path, directory, path), Target("cmdb.example", "127.0.0.1", 80, False),
        path.removeprefix(PATH), path, verdict, 200,  # type: ignore[arg-type]  # a Verdict by hand
    )  # fmt: skip


def shown_tree(directory: Path, *found: Probed) -> Context:
    from host.facts.apache import Apache
    from host.facts.apache_config import Include, parse_config

    included = (Include("/etc/apache2/conf-enabled/security.conf", (225,)),)
    return context(
        directory,
        applications=(IDOIT,),
        exposure=found,
        apache=Apache(parse_config(""), {}, (), included, {}),
        apache_running=Running(pid=1),
    )


def test_every_place_there_is_is_refused_once_one_comes(tmp_path: Path) -> None:
    one = probed(Rule("log", "logs"), f"{PATH}/log", "listed", directory=True)
    two = probed(Rule("temp", "caches", ("css",)), f"{PATH}/temp", "kept", directory=True)
    three = probed(Rule("*.sql", "a dump"), f"{PATH}/a+b.sql", "kept", directory=False)
    ctx = shown_tree(tmp_path, one, two, three)
    written = next(c for c in STEP.plan(ctx).changes if isinstance(c, WriteFile))
    text = written.content.decode()
    assert f'<Directory "{PATH}/log">\n    Require all denied' in text
    matches = re.findall(r'<FilesMatch "(.*)">', text)
    assert [bool(re.search(matches[0], name)) for name in ("a.css", "sess_1")] == [False, True]
    assert [bool(re.search(matches[1], name)) for name in ("a+b.sql", "aab.sql")] == [True, False]
    (bad,) = [one for one in STEP.observe(ctx) if one.ok is False]
    assert bad.setting == "http://cmdb.example/log"
    assert "list of its files" in bad.running


NAMES = ("x>\n</Directory>\nErrorLog |sh\n<Directory y", "a\\", "${HOME}", 'a b"', "\udcff\r")


@pytest.mark.parametrize("directory", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_no_name_in_the_tree_becomes_a_directive(
    tmp_path: Path, name: str, directory: bool
) -> None:
    place = f"{PATH}/{name}.zip"
    bad = probed(Rule("*.zip", "an archive"), place, "shown", directory=directory)
    inner = probed(Rule("*.sql", "a dump"), f"{PATH}/{name}/x.sql", "shown", directory=False)
    for one in (bad, inner):
        ctx = shown_tree(tmp_path, one)
        written = next(c for c in STEP.plan(ctx).changes if isinstance(c, WriteFile))
        lines = [line.strip() for line in written.content.decode().split("\n")]
        assert {line.split(" ")[0] for line in lines if line} <= {
            "#", "<Directory", "</Directory>", "<FilesMatch", "</FilesMatch>", "Require",
        }  # fmt: skip
        assert all(line.endswith('">') for line in lines if line.startswith("<") and " " in line)
        assert not re.search(r"[\x00-\x09\x0b-\x1f]|\$\{", written.content.decode())


def test_a_name_that_is_no_text_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(tmp_path)
    monkeypatch.setattr(ctx.host, "http", lambda url, **more: answer(200, b"x"))
    monkeypatch.setattr(ctx.host, "read_bytes", lambda path, **more: b"x")
    name = f"{PATH}/\udcff.zip"
    place = Place(Rule("*.zip", "an archive"), name, directory=False, sample=name)
    target = Target("cmdb.example", "127.0.0.1", 80, False)
    found = _probe(ctx.host, IDOIT, place, Shown(target, PATH, PATH, ""))
    assert (found.url, found.verdict) == ("/%FF.zip", "shown")


@pytest.mark.parametrize(
    ("status", "length", "verdict"),
    [(200, 64 << 20, "shown"), (200, 999, "kept"), (403, 64 << 20, "kept")],
)
def test_a_dump_that_is_too_large_to_be_read_is_known_by_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, length: int, verdict: str
) -> None:
    ctx = context(tmp_path)
    said = HttpAnswer(status, "", (("content-length", str(length)),), b"-- MariaDB dump")
    state = FileState(kind="file", size_bytes=64 << 20)
    monkeypatch.setattr(ctx.host, "http", lambda url, **more: said)
    monkeypatch.setattr(ctx.host, "state", lambda path, **more: state)
    name = f"{PATH}/all.sql"
    place = Place(Rule("*.sql", "a dump"), name, directory=False, sample=name)
    target = Target("cmdb.example", "127.0.0.1", 80, False)
    found = _probe(ctx.host, IDOIT, place, Shown(target, PATH, PATH, ""))
    assert (found.verdict, found.problem) == (verdict, "")


def test_nothing_that_comes_is_nothing_to_do(tmp_path: Path) -> None:
    ctx = shown_tree(tmp_path, probed(Rule("log", "logs"), f"{PATH}/log", "kept", directory=True))
    assert STEP.plan(ctx).changes == ()
    assert [one.ok for one in STEP.observe(ctx)] == [True]


def test_a_host_without_applications_shows_none(tmp_path: Path) -> None:
    assert [one.applicable for one in STEP.observe(context(tmp_path, applications=()))] == [False]
