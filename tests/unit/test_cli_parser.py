"""The command line as typed: what is understood, what is refused, and in which words."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tui.cli import build_parser, parse
from tui.entry import main
from tui.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a command that must end with exit status 2."""
    assert main(list(arguments)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("harden-tui: ") and shown.err.count("\n") == 1
    return shown.err


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == VERSION
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"harden-tui {VERSION}\n"
    assert main(["check", "--help"]) == 0
    assert "harden-tui check ssh.limits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc"], "Did you mean 'check'?"),
        (["check", "--chekclist", "lamp"], "Did you mean '--checklist'?"),
        (["--practise"], "Did you mean '--practice'?"),
        (["log", "exprt"], "Did you mean 'export'?"),
        (["check", "--format", "xml"], "--format 'xml' is none of text, json, events."),
        (["history", "prune", "--keep-days", "many"], "invalid int value: 'many'"),
        (["check", "--set"], "expected one argument"),
        (["check", "--chec", "lamp"], "--chec is not understood here."),  # no abbreviations
    ],
)
def test_mistakes_are_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    line = refusal(capsys, *arguments)
    assert said in line
    assert "--help." in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--practice", "--set", "ssh.limits.max-auth-tries=3"],
        ["--checklist", "check"],
        ["--checklist", "check", "plan", "ssh.limits", "--out", "steps"],
        ["rollback", "ssh.limits", "--restore", "--merge=/etc/hosts", "--yes"],
        ["drift"],
        ["log", "export", "--as", "html"],
    ],
)
def test_what_knows_only_the_named_commands_understands_the_same(arguments: list[str]) -> None:
    assert vars(parse(arguments)) == vars(build_parser().parse_args(arguments))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completions_know_the_commands(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    for command in ("check", "plan", "apply", "rollback", "recover", "follow", "live"):
        assert command in script


def test_completions_for_nobody() -> None:
    script = f"exec {sys.executable} -m tui.entry --print-completion bash >&-"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_bash_completion_is_valid_shell(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_manual_page_is_fresh() -> None:
    subprocess.run([sys.executable, str(ROOT / "packaging/man.py"), "--check"], check=True)


@pytest.mark.parametrize(
    "statement",
    ["import tui.entry; tui.entry.main(['--version'])", "import tui.cli; tui.cli.build_parser()"],
)
def test_little_is_imported_before_a_command_runs(statement: str) -> None:
    """Time is noisy; what costs time is what is imported."""
    script = f"{statement}; import sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"textual", "rich", "yaml", "sh", "psutil", "distro"}
    if "--version" in statement:
        assert not loaded & {"argparse", "msgspec"}


def test_the_screen_loads_no_tls() -> None:
    script = (
        "from tui.open import without_tls\n"
        "with without_tls():\n"
        "    import tui.app, sys\n"
        "print('_ssl' in sys.modules)\n"
        "import ssl\n"
        "print(ssl.OPENSSL_VERSION)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded, version = done.stdout.splitlines()
    assert loaded == "False" and version


@pytest.mark.parametrize("command", [["check"], ["plan", "ssh.limits"], ["live", "--once"]])
def test_the_hands_work_without_the_screens_library(tmp_path: Path, command: list[str]) -> None:
    arguments = [*command, "--practice", "--state-dir", str(tmp_path / "state"), "--format", "json"]
    script = (
        f"import sys; from tui.entry import main; status = main({arguments});"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "print(status, *sorted(loaded & {'textual', 'rich', 'tui'}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith('{"schema":')
    assert done.stderr.split()[-1] == "tui" and done.stderr.split()[-2] in ("0", "1")


def test_the_hands_never_import_the_screens_library() -> None:
    modules = [
        f"tui.{path.stem}"
        for path in sorted((ROOT / "tui").glob("*.py"))
        if path.stem.startswith("cli") or path.stem in ("hands", "work", "runs", "live", "output")
    ]
    script = f"import {', '.join(modules)}, sys; print({{'textual', 'rich'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
