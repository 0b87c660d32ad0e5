"""Values and settings: where they may come from, and that no secret is repeated."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

import pytest

from steps.resource import StepError
from tui import config
from tui.cli import build_parser
from tui.cli_change import guarding_of
from tui.failures import Scene, Stop
from tui.options import read_values, resolve, split_setting


def typed(**given: object) -> argparse.Namespace:
    return argparse.Namespace(practice=True, **given)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_settings_on_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("ssh.limits: {max-auth-tries: 4}\napp.tree.path: /srv/app\n")
    options = resolve(
        typed(
            values=str(file),
            set=["ssh.limits.max-auth-tries=5"],
            top_set=["app.tree.owner=www-data:www-data"],
        ),
        Scene(),
    )
    assert options.values == {
        "ssh.limits": {"max-auth-tries": "5"},
        "app.tree": {"path": "/srv/app", "owner": "www-data:www-data"},
    }
    assert options.from_stdin == frozenset()
    assert options.state_dir == tmp_path / "harden-tui/practice"


def test_values_from_standard_input_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"app.database-password": {"password": "hunter2"}, "ssh.limits": {"max-sessions": 4}}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    scene = Scene()
    options = resolve(typed(values="-", set=["ssh.limits.max-sessions=5"]), scene)
    assert options.from_stdin == {"app.database-password.password"}
    assert "hunter2" in scene.secrets


@pytest.mark.parametrize(
    "setting", ["password", "=x", "ssh.limits=3", "Ssh.limits.x=3", "ssh.limits.=3"]
)
def test_a_setting_that_names_no_parameter_is_refused(setting: str) -> None:
    with pytest.raises(Stop, match=r"expected STEP\.PARAM=VALUE") as stopped:
        split_setting(setting)
    assert stopped.value.exit == 2


def test_a_wrong_setting_does_not_repeat_its_value() -> None:
    with pytest.raises(Stop) as stopped:
        split_setting("nonsense=hunter2")
    assert "hunter2" not in stopped.value.message
    with pytest.raises(Stop) as stopped:
        split_setting("the password of the relay is hunter2")
    assert "--set the password of the …:" in stopped.value.message


def test_a_setting_without_a_value_is_quoted_whole() -> None:
    with pytest.raises(Stop, match=r"^--set ssh\.limits\.max-auth-tries: expected"):
        split_setting("ssh.limits.max-auth-tries")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", ":1: expected a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("ssh.limits: {a: 1}\nssh.limits: {b: 2}\n", "given twice"),
        ("ssh.limits: hunter2\n", "expected STEP"),
        ("a: &x {b: 1}\nc.d: *x\n", "aliases"),
    ],
)
def test_a_values_file_is_strict(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "values"
    file.write_text(text)
    with pytest.raises((Stop, StepError)) as stopped:
        read_values(str(file))
    assert said in str(stopped.value)
    assert "hunter2" not in str(stopped.value)


def test_a_values_file_that_is_not_there() -> None:
    with pytest.raises(Stop, match="No such file") as stopped:
        read_values("/nonexistent/values.yaml")
    assert stopped.value.exit == 2


def test_no_settings_are_the_defaults(tmp_path: Path) -> None:
    assert config.load(tmp_path / "config.yaml") == config.Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checklists: lamp\n", "config.yaml:1: "),
        ("checklist: lamp\nstate-dir: state\n", "config.yaml:2: state-dir"),
        ("keep-days: many\n", "config.yaml:1: keep-days"),
        ("keep-days: 0\n", "1 to 36500"),
        ("keep-days: 99999999999999\n", "1 to 36500"),
        ("confirm-within: soon\n", "config.yaml:1: confirm-within: expected a time between 10"),
        ("confirm-within: 2h\n", "such as 90s or 5m"),
    ],
)
def test_settings_are_strict(text: str, said: str) -> None:
    with pytest.raises(StepError, match=said):
        config.parse("config.yaml", text.encode())


@pytest.mark.skipif(os.geteuid() != 0, reason="the settings count for root")
def test_the_time_a_guarded_change_waits_is_the_one_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("confirm-within: 90s\n")
    file.chmod(0o600)
    tmp_path.chmod(0o755)
    settings = config.load(file)
    monkeypatch.setattr(config, "load", lambda: settings)
    parser = build_parser()
    for words, seconds in (([], 90), (["--confirm-within", "2m"], 120)):
        arguments = parser.parse_args(["apply", "ssh.limits", *words])
        options = resolve(arguments, Scene())
        assert guarding_of(options, arguments).window_s == seconds


@pytest.mark.parametrize("command", ["recover", "confirm", "rollback a.b", "window close"])
def test_what_takes_back_needs_no_settings(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guard names where the state lies, and so can a person."""

    def broken() -> config.Config:
        return config.parse("config.yaml", b"keep-days: many\n")

    monkeypatch.setattr(config, "load", broken)
    parser = build_parser()
    options = resolve(parser.parse_args([*command.split(), "--state-dir", "/state"]), Scene())
    assert options.state_dir == Path("/state")
    assert "left out here" in (said := capsys.readouterr().err) and "config.yaml:1" in said
    with pytest.raises(Stop, match=r"config\.yaml:1.* add --state-dir") as stopped:
        resolve(parser.parse_args(command.split()), Scene())
    assert stopped.value.exit == 2


@pytest.mark.parametrize("command", ["apply a.b", "check", "window open", "history prune"])
def test_what_changes_or_judges_needs_them(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "load", lambda: config.parse("config.yaml", b"keep-days: many\n"))
    with pytest.raises(StepError, match=r"config\.yaml:1"):
        resolve(build_parser().parse_args([*command.split(), "--state-dir", "/state"]), Scene())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("change", ["foreign", "writable", "directory", "link"])
def test_settings_that_others_could_write_are_refused(tmp_path: Path, change: str) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "config.yaml"
    file.write_text("checklist: lamp\n")
    file.chmod(0o644)
    assert config.load(file).checklist == "lamp"
    if change == "foreign":
        os.chown(file, 65534, 0)
    elif change == "writable":
        file.chmod(0o664)
    elif change == "directory":
        tmp_path.chmod(0o777)
    else:
        file.rename(tmp_path / "real.yaml")
        file.symlink_to("real.yaml")
    with pytest.raises(Stop) as stopped:
        config.load(file)
    assert stopped.value.exit == 2
