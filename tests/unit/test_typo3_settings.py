"""TYPO3's settings: who decides them, and what is added where it has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts import FactUnavailable
from host.facts.apache import Apache
from host.facts.apache_config import parse_config
from host.facts.applications import Application
from host.facts.typo3 import KEYS, Answer, Typo3, Unreadable, origin, parse_answer
from snapshots.model import RemoveFile, WriteFile
from steps.resource import Context, StepError
from steps.resources.typo3_settings import Typo3Settings, as_php, stops_early
from tests.unit.given import context

PATH = "/srv/site"
SETTINGS = f"{PATH}/config/system/settings.php"
ADDITIONAL = f"{PATH}/config/system/additional.php"
SOURCES = {
    SETTINGS: """<?php
return [
    'BE' => [
        'debug' => false,
        'passwordHashing' => ['options' => ['debug' => 1]],
    ],
    'FE' => [
        'debug' => true,
    ],
];
""",
    ADDITIONAL: """<?php
// $GLOBALS['TYPO3_CONF_VARS']['FE']['debug'] = 0;
$GLOBALS['TYPO3_CONF_VARS']['BE']['debug'] = false;
if (getenv('X')) {
    $GLOBALS["TYPO3_CONF_VARS"]["BE"]["debug"] = true;
}
""",
}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("BE/debug", f"{ADDITIONAL}:5"),
        ("FE/debug", f"{SETTINGS}:8"),
        ("SYS/displayErrors", "TYPO3's default"),
        ("BE/passwordPolicy", "TYPO3's default"),
    ],
)
def test_the_last_place_that_sets_it_decides(key: str, place: str) -> None:
    assert origin(key, SOURCES) == place


def test_a_key_of_another_section_is_none_of_it() -> None:
    assert origin("BE/debug", {SETTINGS: "<?php return ['FE' => ['debug' => 1], 'BE' => []];"}) == (
        "TYPO3's default"
    )


@given(st.text(alphabet="BESY'debug=>[](),;\n \\\"/*#$", max_size=120))
def test_no_source_is_too_odd(text: str) -> None:
    for key in KEYS[:3]:
        origin(key, {SETTINGS: text})
    stops_early(text)


@given(st.text(), st.integers(0, 255))
def test_an_answer_is_one_or_none(text: str, status: int) -> None:
    try:
        assert isinstance(parse_answer(text, status), Answer)
    except FactUnavailable as error:
        assert "could not be computed" in str(error)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<?php\n$x = 1;\n", ""),
        ("<?php\nif ($x) { return; }\nfunction a() { return 1; }\n", ""),
        ("<?php\n$x = 'return';\n// return\n", ""),
        ("<?php\n\nreturn;\n", "has return in line 3"),
        ("<?php\n$x = 1;\n?>\n", "ends PHP with ?> in line 3"),
        ("<?php\nif ($x) {\n", "has a { that is not closed"),
        ("\ufeff<?php\n", "does not begin with <?php"),
    ],
)
def test_where_nothing_can_be_added_at_the_end(text: str, reason: str) -> None:
    assert stops_early(text) == reason


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("yes", "true"),
        ("no", "false"),
        ("0", "0"),
        ("0660", "'0660'"),
        ("a'b", r"'a\'b'"),
        ("5", "5"),
    ],
)
def test_values_as_php(value: str, source: str) -> None:
    assert as_php(value) == source


def step(**settings: object) -> Typo3Settings:
    return Typo3Settings.parse("typo3.settings", {"settings": settings or {"BE/debug": "no"}})


def host(directory: Path, additional: str | None = None, **changed: object) -> Context:
    application = Application(
        "typo3", PATH, f"{PATH}/public", (SETTINGS, ADDITIONAL)[: 1 if additional is None else 2],
        "composer",
    )  # fmt: skip
    values = {**dict.fromkeys(KEYS), "BE/debug": "yes", "SYS/trustedHostsPattern": "SERVER_NAME"}
    fields = {"trusts_anybody": False, "install_tool": "hash", "context": "Production", **changed}
    typo3 = Typo3(
        application=application, version="13.4.1", values=values,
        origins=dict.fromkeys(KEYS, f"{ADDITIONAL}:5"), **fields,  # type: ignore[arg-type]  # by name
    )  # fmt: skip
    ctx = context(
        directory,
        applications=(application,),
        typo3=(typo3,),
        apache=Apache(parse_config(""), {}, (), (), {}),
        web_php=(),
    )
    for folder in ("/srv", PATH, f"{PATH}/config", f"{PATH}/config/system", f"{PATH}/var"):
        ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    ctx.host.put(f"{PATH}/var/transient", FileState(kind="dir", mode=0o755))
    owned = FileState(kind="file", mode=0o640, uid=33, gid=33)
    ctx.host.write_file(SETTINGS, SOURCES[SETTINGS].encode(), owned)
    if additional is not None:
        ctx.host.write_file(ADDITIONAL, additional.encode(), owned)
    return ctx


def written(ctx: Context, resource: Typo3Settings) -> str:
    (change,) = [one for one in resource.plan(ctx).changes if isinstance(one, WriteFile)]
    assert (change.path, change.uid, change.secret) == (ADDITIONAL, 33, True)
    return change.content.decode()


def test_what_is_wrong_is_set_at_the_end_and_once(tmp_path: Path) -> None:
    first = written(host(tmp_path / "1", SOURCES[ADDITIONAL]), step())
    assert first.startswith(SOURCES[ADDITIONAL])
    assert (
        first.count("$GLOBALS['TYPO3_CONF_VARS']['BE']['debug'] = false;\n// harden-tui: end") == 1
    )
    again = written(host(tmp_path / "2", first), step())
    assert again == first


def test_what_is_added_to_was_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the tree may put a link there after it was looked at, and the file back."""
    ctx = host(tmp_path, "<?php\n")
    state = ctx.host.state(ADDITIONAL)
    ctx.host.write_file("/srv/theirs.php", b"<?php\n$password = 'of another site';\n")
    ctx.host.put(ADDITIONAL, FileState(kind="symlink", target="/srv/theirs.php"))
    monkeypatch.setattr(ctx.host, "state", lambda path, **more: state)
    planned = step().plan(ctx)
    assert planned.changes == ()
    assert any("symbolic link" in one for one in planned.refusals)


def test_without_the_file_one_is_made(tmp_path: Path) -> None:
    text = written(host(tmp_path), step())
    assert text.startswith("<?php\n\n// harden-tui: begin of typo3.settings")


def test_anybodys_name_is_taken_no_more(tmp_path: Path) -> None:
    ctx = host(tmp_path, "<?php\n", trusts_anybody=True)
    resource = step(**{"FE/debug": "no"})
    assert "['trustedHostsPattern'] = 'SERVER_NAME';" in written(ctx, resource)
    assert [one.setting for one in resource.observe(ctx) if one.ok is False] == [
        "SYS/trustedHostsPattern"
    ]


def test_an_open_install_tool_is_closed(tmp_path: Path) -> None:
    ctx = host(tmp_path, "<?php\n")
    ctx.host.write_file(f"{PATH}/var/transient/ENABLE_INSTALL_TOOL", b"")
    assert RemoveFile(f"{PATH}/var/transient/ENABLE_INSTALL_TOOL") in step().plan(ctx).changes


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"install_tool": "weak"}, "Change Install Tool Password"),
        ({"context": "Development/Local"}, "SetEnv TYPO3_CONTEXT"),
    ],
)
def test_what_only_a_person_can_set(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    planned = step().plan(host(tmp_path, "<?php\n", **changed))
    assert said in planned.refusals[0]
    assert planned.changes == ()


def test_lock_ssl_without_https_would_lock_everybody_out(tmp_path: Path) -> None:
    ctx = host(tmp_path, "<?php\n")
    typo3 = ctx.facts.given["typo3"][0]  # type: ignore[attr-defined]  # these facts are given
    typo3.values["BE/lockSSL"] = "no"
    resource = step(**{"BE/lockSSL": "yes"})
    (finding,) = [one for one in resource.observe(ctx) if one.setting == "BE/lockSSL"]
    assert not finding.applicable
    assert resource.plan(ctx).changes == ()


def test_what_cannot_be_computed_is_unknown(tmp_path: Path) -> None:
    ctx = context(
        tmp_path, typo3=(Unreadable(Application("typo3", PATH, PATH), "it took too long"),)
    )
    assert [(one.ok, one.note) for one in step().observe(ctx)] == [(None, "it took too long")]
    assert step().plan(ctx).changes == ()


@pytest.mark.parametrize(
    "body",
    [
        {"settings": {"DB/Connections": "x"}},
        {"settings": {}, "trusted-hosts": ".*"},
        {"settings": {}, "trusted-hosts": "[a-z.-]+"},
    ],
)
def test_no_step_takes_anybodys_name_or_a_secret(body: dict[str, object]) -> None:
    with pytest.raises(StepError):
        Typo3Settings.parse("typo3.settings", body)
