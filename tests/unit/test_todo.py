"""The list of what is left to a person: what is on it, in which order, in which words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from snapshots.answers import Waiver
from snapshots.guide_model import Later
from steps import todo
from steps.drift_model import DriftReport, DriftRow
from steps.events import GuardEvent
from steps.model import Finding, Stage, Status, StepResult
from tests.unit.test_cli_commands import Run, run, state
from tui import todo_text

__all__ = ["run", "state"]  # fixtures

WAIVER = Waiver(text="it is in a rack of ours", by="bob", when="2026-11-20T10:00:00Z")


def result(step: str, status: Status, stage: Stage = "pre-install", note: str = "") -> StepResult:
    findings = (
        Finding(resource="sshd", setting="Ciphers", expected="x", ok=None, note="sshd is gone"),
    )
    return StepResult(
        id=step, stage=stage, title=f"About {step}", status=status, note=note,
        findings=findings if status == "unknown" else (),
    )  # fmt: skip


def made(
    results: Sequence[StepResult],
    *,
    missing: Mapping[str, Sequence[str]] | None = None,
    refused: Mapping[str, Sequence[str]] | None = None,
    later: Mapping[str, Later] | None = None,
    drift: DriftReport | None = None,
) -> todo.Todo:
    return todo.Todo(
        host="web1", checklist="lamp", made="2026-11-26T01:30:00Z", checked=len(results),
        items=todo.items(
            results, missing=missing or {}, questions={"b.ask": ["Who restores it?"]},
            refused=refused or {}, waivers={"c.left": WAIVER}, later=later or {},
            drift=drift or DriftReport(),
        ),
    )  # fmt: skip


EVERY = [
    result("a.open", "fail"),
    result("b.ask", "manual"),
    result("c.left", "waived"),
    result("d.value", "unknown", note="needs a value: admin"),
    result("e.dark", "unknown", "post-install"),
    result("f.no", "fail", "post-install"),
    result("g.good", "pass"),
    result("h.not", "not-applicable"),
    result("i.seen", "attested"),
]


def test_each_step_is_where_a_person_would_look_for_it() -> None:
    found = made(EVERY, missing={"d.value": ["admin"]}, refused={"f.no": ["apt has no network."]})
    assert [(item.kind, item.step) for item in found.items] == [
        ("choose", "d.value"),
        ("attest", "b.ask"),
        ("refused", "f.no"),
        ("unmeasured", "e.dark"),
        ("open", "a.open"),
        ("left-out", "c.left"),
    ]
    assert len(found.left) == 5, "what was left out on purpose waits for nobody"
    by_step = {item.step: item for item in found.items}
    assert by_step["b.ask"].why == ("Who restores it?",)
    assert by_step["f.no"].why == ("apt has no network.",)
    assert by_step["e.dark"].why == ("Ciphers: sshd is gone",)
    assert "bob, 2026-11-20" in by_step["c.left"].why[0]
    assert by_step["d.value"].do == "harden-tui steps set d.value.admin=…"


def test_nothing_left_says_so() -> None:
    assert todo_text.summary(made([result("a", "pass")])) == "Nothing is left to do."
    only_aside = made([result("c.left", "waived")])
    assert only_aside.left == []
    assert "1 step left out on purpose" in todo_text.summary(only_aside)


def test_what_was_put_off_says_by_whom() -> None:
    later = {"a.open": Later(by="alice", when="2026-11-25T21:03:00Z")}
    text = todo_text.text(made(EVERY, later=later))
    assert "Put off by alice, 2026-11-25 21:03 UTC." in text


def test_what_no_apply_closes_is_closed_by_its_own_command() -> None:
    found = Finding(
        resource="update window", setting="update window", expected="closed", running="open",
        ok=False,
    )  # fmt: skip
    closing = msgspec.structs.replace(result("window.close", "fail"), findings=(found,))
    (item,) = made([closing]).items
    assert (item.kind, item.do) == ("open", "harden-tui window close")
    assert item.why == ("update window: open",)


def test_drift_is_a_choice_to_make() -> None:
    row = DriftRow(domain="files", key="/etc/my file", kind="edited", choices=("accept",))
    (item,) = made([], drift=DriftReport(things=(row,))).items
    assert item.kind == "choose"
    assert item.do == "harden-tui drift show '/etc/my file'"


@pytest.mark.parametrize(
    "write", [todo_text.text, todo_text.markdown, todo_text.json, todo_text.json_line]
)
def test_a_name_that_is_not_utf8_is_spelled_out(write: Callable[[todo.Todo], str]) -> None:
    row = DriftRow(domain="files", key=os.fsdecode(b"/etc/caf\xe9"), kind="edited")
    text = write(made([], drift=DriftReport(things=(row,))))
    text.encode()
    assert "xe9" in text and "DCE9" not in text


def test_what_holds_everything_up_comes_first() -> None:
    waits = GuardEvent(step="ssh.limits", deadline="2026-11-20T10:21:03+00:00", phase="waiting")
    (item,) = todo.before_all(waits, [])
    assert "10:21:03" in item.title and item.do == "harden-tui confirm"
    (item,) = todo.before_all(None, ["ssh.limits"])
    assert item.do == "harden-tui recover"
    assert todo.before_all(None, []) == []


def test_markdown_hides_nothing_and_cannot_be_broken_out_of() -> None:
    evil = result("e.dark", "error", note="*x* <b>y</b> `z`\n# w")
    text = todo_text.markdown(made([evil]))
    assert "- [ ] `e.dark` About e.dark" in text
    assert "\\*x\\* \\<b\\>y\\</b\\> \\`z\\`" in text
    assert not any(line.startswith("# w") for line in text.splitlines())
    assert "`sudo harden-tui check e.dark --verbose`" in text


def test_lines_of_text_fit_a_terminal() -> None:
    for line in todo_text.text(made(EVERY)).splitlines():
        assert len(line) <= todo_text.WIDTH


def test_the_command_on_a_practice_host(run: Run, state: Path, tmp_path: Path) -> None:
    exit_status, out, err = run("todo", "ssh.limits", "data.disk-encryption")
    assert exit_status == 1, err
    assert "PRACTICE HOST" in out
    command = f"harden-tui --practice --state-dir {state} --checklist i-doit apply ssh.limits"
    shown = " ".join(out.split())
    assert "[ ] ssh.limits:" in out and command in shown, "with the values of this very checklist"
    usual = run("todo", "ssh.limits", "--checklist", "lamp")[1]
    command = f"harden-tui --practice --state-dir {state} apply ssh.limits"
    assert command in " ".join(usual.split())
    assert "only a person" not in out, "the question itself is asked"

    file = tmp_path / "todo.md"
    exit_status, out, err = run("todo", "ssh.limits", "--output", str(file))
    assert (exit_status, out) == (1, "")
    assert file.read_text().startswith("# What is left to do on")
    assert file.stat().st_mode & 0o777 == 0o600

    exit_status, out, _ = run("todo", "accounts.admin-user", "--format", "json")
    document = json.loads(out)
    assert (exit_status, document["schema"], document["left"]) == (0, "harden-tui/todo/1", 0)

    exit_status, _, err = run("todo", "--output", "/nonexistent/todo.md")
    assert exit_status == 3 and "/nonexistent" in err
    exit_status, _, err = run("todo", "--stage", "post-instal")
    assert exit_status == 2 and "Did you mean 'post-install'?" in err


def test_where_guided_runs_stand(run: Run) -> None:
    assert "Nobody was led" in run("guide")[1]
    assert run("guide", "at", "ssh.limits")[0] == 0
    assert "put off" in run("guide", "later", "ssh.limits")[1]
    assert "Put off by" in run("todo", "ssh.limits")[1]
    assert "pre-install: at ssh.limits" in run("guide")[1]
    assert "led through to its end" in run("guide", "end", "pre-install")[1]
    for wrong in (["at"], ["at", "no.step"], ["end", "no-stage"]):
        assert run("guide", *wrong)[0] == 2


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_what_a_terminal_would_obey_is_never_printed(form: str) -> None:
    evil = result("e.dark", "error", note="a\x1b]52;c;x\x07b\x9b31m")
    written = {"text": todo_text.text, "markdown": todo_text.markdown, "json": todo_text.json}
    text = written[form](made([evil]))
    assert not any(character in text for character in "\x1b\x07\x9b")


SITE = """\
- id: site.sec
  stage: pre-install
  title: A password
  why: For this test.
  breaks: Nothing.
  source: this test
  parameters:
    password: {kind: secret, help: The password}
  ensure:
    - file: {path: /etc/site.pw, content: "{password}", mode: "0600", secret: true}
"""


def test_a_secret_that_lacks_is_asked_for_on_standard_input(run: Run, state: Path) -> None:
    """What `--set` and `steps set` refuse is not told to anybody."""
    place = state / "host/root/etc/harden-tui/steps.d"
    place.mkdir(parents=True)
    (place / "site.yaml").write_text(SITE)
    for command in ("plan", "check", "todo"):
        exit_status, out, _ = run(command, "site.sec")
        said = " ".join(out.split())
        assert exit_status == 1
        assert r"printf 'site.sec: {password: …}\n' | " in said
        assert "apply site.sec --values - --yes" in said
        assert "--set" not in said and "steps set" not in said
