"""What the kind for PHP says and plans, on recorded answers of both releases."""

from __future__ import annotations

import json

import pytest

from host.base import HttpAnswer
from host.facts import FactUnavailable
from snapshots.model import WriteFile
from steps.model import Finding
from steps.resource import Planned, StepError
from steps.resources.php import Php
from tests.unit.web_host import PHP, RELEASES, WebHost, page, recorded

ODD = "/etc/apache2/sites-enabled/odd.conf"


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest) -> WebHost:
    made = WebHost(request.param)
    made.files[ODD] = "\n" * 9 + "    php_flag display_errors on\n"
    return made


def folder(host: WebHost) -> str:
    (ini,) = [path for path in host.files if path.endswith("/apache2/php.ini")]
    return ini.removesuffix("/php.ini")


def later_file(host: WebHost, text: str, values: dict[str, str]) -> str:
    """An ini file that sorts after ours, and what PHP answers with it."""
    path = f"{folder(host)}/conf.d/99-zz.ini"
    host.files[path] = text
    release = next(r for r in RELEASES if PHP[r] in path)
    said = json.loads(recorded(release, "php-ini.json"))
    said["scanned"] += f",\n{path}\n"
    said["values"].update(values)
    host.programs[f"php{PHP[release]}"] = lambda argv: (0, json.dumps(said))
    return path


def php(**settings: object) -> Php:
    body = {"sapi": "web", "settings": {k.replace("__", "."): v for k, v in settings.items()}}
    return Php.parse("php.settings", body)


def written(planned: Planned) -> dict[str, str]:
    return {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}


def one(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_the_web_servers_ini_decides_with_file_and_line(host: WebHost) -> None:
    finding = one(php(session__cookie_httponly={"is": "On"}).observe(host.context()))
    assert (finding.ok, finding.running, finding.persistent) == (False, "Off", "Off")
    assert finding.origin.startswith(f"{folder(host)}/php.ini:")


def test_a_drop_in_for_this_sapi_only(host: WebHost) -> None:
    planned = php(session__cookie_httponly={"is": "On"}).plan(host.context())
    path = f"{folder(host)}/conf.d/99-harden-tui-php.settings.ini"
    assert written(planned)[path].splitlines()[1:] == ["session.cookie_httponly = On"]
    assert [(a.how, a.unit) for a in planned.activations] == [("reload", "apache2.service")]


def test_nothing_to_do_is_an_empty_plan(host: WebHost) -> None:
    assert php(expose_php={"is": "Off"}).plan(host.context()) == Planned()


def test_a_stricter_value_is_not_weakened_by_our_file(host: WebHost) -> None:
    ini = f"{folder(host)}/php.ini"
    host.files[ini] = host.files[ini].replace("allow_url_fopen = On", "allow_url_fopen = Off")
    wanted = php(
        allow_url_fopen={"one-of": ["On", "Off"], "set": "On"}, session__use_strict_mode="On"
    )
    (text,) = written(wanted.plan(host.context())).values()
    assert "allow_url_fopen = Off" in text


def test_apaches_own_directive_wins_and_its_line_is_changed(host: WebHost) -> None:
    wanted = php(display_errors={"is": "Off"})
    findings = {f.resource: f for f in wanted.observe(host.context())}
    wrong = next(f for name, f in findings.items() if name.endswith("www.example.org"))
    assert (wrong.ok, wrong.origin) == (False, f"{ODD}:10")
    planned = wanted.plan(host.context())
    assert written(planned)[ODD].splitlines()[9] == "    php_flag display_errors off"


def test_a_later_ini_file_is_edited_and_keeps_its_own_functions(host: WebHost) -> None:
    text = "disable_functions = leak\nexpose_php=On\n"
    path = later_file(host, text, {"disable_functions": "leak", "expose_php": "1"})
    wanted = php(disable_functions={"contains": ["popen", "system"]}, expose_php={"is": "Off"})
    findings = {f.setting: f for f in wanted.observe(host.context())}
    assert findings["disable_functions"].origin == f"{path}:1"
    planned = wanted.plan(host.context())
    assert written(planned) == {path: "disable_functions = leak,popen,system\nexpose_php=Off\n"}


def test_an_ini_file_newer_than_apache_is_unknown_until_a_reload(host: WebHost) -> None:
    host.files[f"{folder(host)}/conf.d/50-new.ini"] = ""
    host.changed = [f"{folder(host)}/conf.d"]
    wanted = php(expose_php={"is": "Off"})
    finding = one(wanted.observe(host.context()))
    assert (finding.ok, finding.running, finding.persistent) == (None, "", "Off")
    planned = wanted.plan(host.context())
    assert [a.how for a in planned.activations] == ["reload"]


def test_a_setting_php_does_not_know_does_not_count(host: WebHost) -> None:
    finding = one(php(no_such_setting={"is": "On"}).observe(host.context()))
    assert (finding.ok, finding.applicable) == (None, False)


def test_without_php_and_without_an_answer_of_it(host: WebHost) -> None:
    for release in RELEASES:
        host.programs.pop(f"php{PHP[release]}", None)
    with pytest.raises(FactUnavailable, match=r"there is no php8\.\d"):
        php(expose_php={"is": "Off"}).observe(host.context())
    dump = host.programs["apache2ctl"]
    host.programs["apache2ctl"] = lambda argv: (0, dump(argv)[1].replace("php_module", "x_module"))
    with pytest.raises(FactUnavailable, match="no PHP answers web requests"):
        php(expose_php={"is": "Off"}).observe(host.context())


def test_the_probe_is_removed_and_asks_for_callable_functions(host: WebHost) -> None:
    version = folder(host).split("/")[3]
    left = "/var/www/html/harden-tui-probe-left.php"
    host.files[left] = "from a power cut"
    seen: list[str] = []
    values = {"disable_functions": "popen", "expose_php": ""}

    def answer(path: str) -> HttpAnswer:
        seen.extend(name for name in host.files if "harden-tui-probe-" in name)
        said = {"sapi": "apache2handler", "version": version, "values": values,
                "callable": ["popen"]}  # fmt: skip
        return page(200, body=b"harden-tui-answer:" + json.dumps(said).encode() + b"\n")

    host.dynamic = answer
    wanted = php(disable_functions={"contains": ["popen"]}, expose_php={"is": "Off"})
    found = {f.setting: f for f in wanted.prove(host.context())}
    assert len(seen) == 1 and seen != [left]
    assert not [name for name in host.files if "harden-tui-probe-" in name]
    assert found["expose_php"].ok is True
    assert found["disable_functions"].ok is False
    assert found["disable_functions"].note == "still callable: popen"


def test_a_probe_that_cannot_be_made_does_not_count(host: WebHost) -> None:
    finding = one(php(expose_php={"is": "Off"}).prove(host.context()))
    assert (finding.applicable, finding.ok) == (False, None)
    assert not [name for name in host.files if "harden-tui-probe-" in name]


@pytest.mark.parametrize(
    "settings", [{"Bad Key": "x"}, {"a": {"is": 'x"y'}}, {"a": {"is": "x\ny"}}]
)
def test_bad_bodies_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(StepError):
        Php.parse("x.y", {"settings": settings})
