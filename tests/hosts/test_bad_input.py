"""What people give the program: files, names, values, plans, locales, closed streams, no root."""

from __future__ import annotations

import json

import pytest

from tests.hosts.bad_input import (
    arranged,
    changed,
    checked,
    program,
    refused,
    shell,
    unharmed,
)
from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

STEPS = "/etc/harden-tui/steps.d/site.yaml"
CONFIG = "/etc/harden-tui/config.yaml"
STEP = """\
- id: site.one
  stage: pre-install
  title: t
  why: w
  breaks: b
  source: s
"""

WRONG_STEPS = {
    "- id: [\n": f"{STEPS}:2: not valid YAML",
    "\x00": f"{STEPS}:1: not valid YAML",
    "[" * 200_000 + "]" * 200_000: f"{STEPS}:1: nested more than",
    STEP: f"{STEPS}:1: entry: Object missing required field `ensure`",
    f"{STEP}  colour: red\n  ensure: []\n": f"{STEPS}:7: entry: Object contains unknown field",
    f"{STEP}  ensure: []\n": f"{STEPS}:7: ensure: expected at least one",
    f"{STEP}  ensure: [sshd]\n": f"{STEPS}:7: ensure[0]: Expected `object`",
    f"{STEP}  ensure: [{{magic: {{}}}}]\n": f"{STEPS}:7: ensure[0]: there is no kind",
    f"{STEP}  ensure: [{{sshd: 5}}]\n": f"{STEPS}:7: ensure[0].sshd: expected options",
    f"{STEP}  ensure: [{{sshd: {{X: {{isnt: 1}}}}}}]\n": f"{STEPS}:7: ensure[0].sshd: Object",
    f"{STEP}  ensure: [{{attest: {{question: '{{gone}}'}}}}]\n": f"{STEPS}:7: ensure: uses a",
    STEP.replace("pre-install", "someday") + "  ensure: []\n": f"{STEPS}:2: stage: Invalid enum",
    STEP.replace("site.one", "ssh.limits") + "  ensure: [{sshd: {X: 1}}]\n": "there is a step",
}

ARRANGED = {
    f"echo > {STEPS}; chmod 666 {STEPS}": f"{STEPS}: not used, because it must belong to root",
    f"echo > {STEPS}; chown alice {STEPS}": f"{STEPS}: not used, because it must belong to root",
    f"echo > {STEPS}; chmod 777 /etc/harden-tui/steps.d": "/etc/harden-tui/steps.d: not used",
    f"ln -s /etc/shadow {STEPS}": f"{STEPS}: not used, because it is a symlink",
    f"mkdir {STEPS}": f"{STEPS}: not used, because it is a dir",
    f"mkfifo {STEPS}": f"{STEPS}: not used, because it is a fifo",
    f"printf '\\377\\376' > {STEPS}": f"{STEPS}:1: not UTF-8",
    f"head -c 50000000 /dev/zero > {STEPS}": f"{STEPS} could not be read: it is larger than",
    f"echo 'colour: red' > {CONFIG}": f"{CONFIG}:1: entry: Object contains unknown field",
    f"echo 'keep-days: many' > {CONFIG}": f"{CONFIG}:1: keep-days: Expected `int`",
    f"echo 'state-dir: there' > {CONFIG}": f"{CONFIG}:1: state-dir: expected an absolute path",
    f"echo 'checklist: none' > {CONFIG}": "There is no checklist 'none'",
    f"printf '\\377' > {CONFIG}": f"{CONFIG}:1: not UTF-8",
    f"echo > {CONFIG}; chmod 666 {CONFIG}": f"{CONFIG}: not used, because it must belong to root",
    f"ln -s /etc/shadow {CONFIG}": f"{CONFIG}: cannot be read (it is a symbolic link)",
    f"mkdir {CONFIG}": f"{CONFIG}: not used, because it must belong to root",
}

WRONG_ARGUMENTS = {
    ("check", "ssh.limit"): "There is no step 'ssh.limit'. Did you mean 'ssh.limits'?",
    ("check", "x" * 100_000): "There is no step 'xxx",
    ("check", "--checklist", "idoit"): "There is no checklist 'idoit'. Did you mean 'i-doit'?",
    ("check", "--set", "ssh.limits.tries=3"): "ssh.limits has no parameter 'tries'",
    ("check", "--set", "ssh.limits.max-auth-tries"): "expected STEP.PARAM=VALUE",
    ("check", "--set", "ssh.limits.max-auth-tries=many"): "expected a whole number, not 'many'",
    ("check", "--set", "ssh.limits.max-auth-tries=99"): "must be at most 10, not 99",
    ("check", "--set", "app.tree.path=/srv/\x1b[31m"): "app.tree.path: must be one line of",
    ("check", "--set", "app.tree.path=/srv/../etc"): "app.tree.path: expected an absolute path",
    ("check", "--set", f"ssh.limits.max-auth-tries={'9' * 100_000}"): "expected a whole number",
    ("check", "--values", "/none.yaml"): "--values /none.yaml: No such file or directory",
    ("check", "--values", "/etc"): "--values /etc: Is a directory",
    ("check", "--values", "/bin/ls"): "/bin/ls:1: not UTF-8",
    ("check", "--values", "/dev/zero"): "/dev/zero: longer than",
    ("check", "--values", "/etc/passwd"): "/etc/passwd:1: expected a mapping",
    ("apply", "--yes", "--plan", "/none.json"): "/none.json: No such file or directory",
    ("apply", "--yes", "--plan", "/bin/ls"): "/bin/ls: is no plan of harden-tui",
    ("apply", "--yes", "--plan", "/dev/zero"): "/dev/zero: is no plan of harden-tui",
    ("apply", "--yes", "--plan", "/etc/passwd"): "/etc/passwd: is no valid plan",
    ("apply", "--yes"): "Name the steps to apply",
    ("apply", "ssh.limits"): "there is no terminal to ask on: add --yes",
    ("rollback", "--yes", "ssh.limit"): "There is no step 'ssh.limit'",
    ("history", "show", "none"): "Nothing was changed yet",
    ("follow", "none"): "There is no run none",
    ("frobnicate",): "'frobnicate' is no command",
    ("check", "--fast"): "--fast is not understood here",
}  # fmt: skip


def test_files_of_the_site(worn: LabHost) -> None:
    with unharmed(worn):
        for text, sentence in WRONG_STEPS.items():
            with changed(worn, STEPS, text.encode()):
                refused(program(worn, "check"), 2, sentence)
        for begin, sentence in ARRANGED.items():
            with arranged(
                worn, f"mkdir -p /etc/harden-tui/steps.d; {begin}", "rm -r /etc/harden-tui"
            ):
                refused(program(worn, "check"), 2, sentence)
                refused(program(worn, "apply", "ssh.limits", "--yes"), 2, sentence)
        assert not (worn.root / "etc/harden-tui").exists()


def test_names_values_and_plans(worn: LabHost) -> None:
    with unharmed(worn):
        for arguments, sentence in WRONG_ARGUMENTS.items():
            said = program(worn, *arguments)
            refused(said, 2, sentence)
            assert len(said.sentence) < 2500
        latin = shell(worn, "harden-tui check $'caf\\xe9'")
        refused(latin, 2, "'caf\\udce9' is not UTF-8 text")
        for values, sentence in (
            ("{", "not valid YAML"),
            ("ssh.limits: 5", "expected STEP: {PARAM: VALUE}"),
            ("ssh.limits: {max-auth-tries: [1, 2]}", "expected a whole number"),
            ("ssh.limits: {max-auth-tries: 2026-02-31}", "2026-02-31 is no valid timestamp"),
        ):
            refused(program(worn, "check", "--values", "-", stdin=values), 2, sentence)


def test_a_plan_that_somebody_spoiled(worn: LabHost) -> None:
    shell(worn, "harden-tui plan ssh.limits --out /root/plan.json")
    kept = json.loads((worn.root / "root/plan.json").read_bytes())
    with unharmed(worn):
        for spoiled, sentence in (
            ({**kept, "schema": "harden-tui/plan/9"}, "is no plan of harden-tui"),
            ({**kept, "steps": "ssh.limits"}, "is no valid plan"),
            ({**kept, "steps": [{"id": "ssh.none"}]}, "There is no step 'ssh.none'"),
            ({**kept, "values": {"ssh.limits": {"none": 1}}}, "has no parameter 'none'"),
            ({**kept, "practice": True}, "This plan was made for a practice host"),
        ):
            worn.write("/root/plan.json", json.dumps(spoiled))
            refused(program(worn, "apply", "--plan", "/root/plan.json", "--yes"), 2, sentence)
        worn.write("/root/plan.json", json.dumps({**kept, "fingerprint": "0" * 64}))
        stale = program(
            worn, "apply", "--plan", "/root/plan.json", "--yes", "--format", "json"
        )  # fmt: skip
        refused(stale, 3, "The host has changed since this preview")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("LC_ALL=C", "", {1}),
        ("LC_ALL=POSIX PYTHONCOERCECLOCALE=0", "", {1}),
        ("LC_ALL=de_DE.ISO-8859-1 LANG=de_DE.ISO-8859-1", "", {1}),
        ("env -i", "", {1}),
        ("env -u HOME", "", {1}),
        ("cd /root && mkdir gone && cd gone && rmdir ../gone && exec", "", {1}),
        ("", "<&-", {1}),
        ("", ">&-", {1}),
        ("", "2>&-", {1}),
        ("", "<&- >&- 2>&-", {1}),
        ("", "| head -1; exit ${PIPESTATUS[0]}", {1}),
        ("", "> /dev/full", {5}),
        ("", "--format json > /dev/full", {5}),
        ("", "--format json | head -c 1; exit ${PIPESTATUS[0]}", {1}),
    ],
)
def test_ways_to_start_a_check(worn: LabHost, before: str, after: str, expected: set[int]) -> None:
    said = shell(worn, f"{before} /usr/bin/harden-tui check ssh.limits {after}")
    assert said.exit in expected, said
    if expected == {5}:
        assert said.sentence == "The answer could not be written out: No space left on device."


def test_nobody_listens_to_a_change(worn: LabHost) -> None:
    """The work and its exit status do not depend on who can read the answer."""
    with unharmed(worn):
        change = "harden-tui {} kernel.sysctl --yes"
        assert shell(worn, f"{change.format('apply')} <&- >&- 2>&-").exit == 0
        assert shell(worn, f"{change.format('rollback')} > /dev/full").exit == 0
        assert shell(worn, f"{change.format('apply')} --format json > /dev/full").exit == 0
        headed = shell(worn, f"{change.format('rollback')} | head -1; exit ${{PIPESTATUS[0]}}")
        assert headed.exit == 0
    for answer in ("--version", "steps", "live --once", "log export -"):
        full = shell(worn, f"harden-tui {answer} > /dev/full")
        assert (full.exit, full.sentence.partition(":")[0]) == (
            5, "The answer could not be written out",
        )  # fmt: skip
        assert shell(worn, f"harden-tui {answer} | head -c 1; exit ${{PIPESTATUS[0]}}").exit == 0


def test_names_read_in_another_encoding_come_back_as_they_were(worn: LabHost) -> None:
    """A sealed tree, begun by a login with a Latin-1 locale, undone by one with UTF-8."""
    worn.run("localedef", "-i", "de_DE", "-f", "ISO-8859-1", "de_DE.ISO-8859-1")
    worn.write("/var/www/html/i-doit/façade-€.php", "<?php\n")
    sealing = program(
        worn, "apply", "--checklist", "i-doit", "app.tree", "--yes",
        before="export LC_ALL=de_DE.ISO-8859-1;",
    )  # fmt: skip
    assert sealing.exit == 0, sealing
    assert worn.out("lsattr", "-d", "/var/www/html/i-doit/façade-€.php").startswith("----i")
    shown = program(
        worn, "history", "show", "--format", "json", before="export LC_ALL=de_DE.ISO-8859-1;"
    )
    assert shown.exit == 0
    undone = program(worn, "rollback", "app.tree", "--yes")
    assert undone.exit == 0, undone
    assert "i" not in worn.out("lsattr", "-d", "/var/www/html/i-doit/façade-€.php").split()[0]


def test_without_root(worn: LabHost) -> None:
    """A login without sudo sees what it may see, and is told what needs root."""
    worn.run(
        "sh", "-c",
        "useradd -m -s /bin/bash bob; cp -r /home/alice/.ssh /home/bob; chown -R bob: /home/bob",
    )  # fmt: skip
    root = "belongs to user id 0, not to"
    cases = {
        "apply ssh.limits --yes": (
            3,
            "needs root; nothing was changed. Try: sudo harden-tui apply",
        ),
        "rollback --all --yes": (3, "needs root; nothing was changed"),
        "check --state-dir /var/lib/harden-tui": (3, root),
        "apply ssh.limits --yes --state-dir /var/lib/harden-tui": (3, root),
        "check --state-dir /none": (
            3,
            "/none cannot be created: Permission denied; nothing was changed",
        ),
    }
    with unharmed(worn):
        for command, (exit_status, sentence) in cases.items():
            done = worn.ssh(f"harden-tui {command}", user="bob", check=False)
            refused(checked(done, command), exit_status, sentence)
        for home in ("HOME=/nonexistent", "HOME=/"):
            done = worn.ssh(f"{home} harden-tui check", user="bob", check=False)
            refused(checked(done, home), 3, ".local/state/harden-tui cannot be used")
        seen = checked(worn.ssh("harden-tui check", user="bob", check=False), "check")
        assert seen.exit == 1
        assert seen.sentence.startswith("without root not everything can be seen")
        played = worn.ssh("env -u HOME harden-tui --practice apply apache.banner --yes", user="bob")
        assert (
            checked(played, "practice").out.rstrip().endswith("Applied and proved: apache.banner.")
        )
