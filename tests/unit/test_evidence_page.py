"""The goals and the page of `make evidence`: no figure is met by not being measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench.report import sections_of
from tests.evidence.applying import Applied, checked, said
from tests.evidence.finding import Deviation, Finding, deviations, reason, unused
from tests.evidence.goals import goals, met
from tests.evidence.lynis import Lynis
from tests.evidence.measuring import Release, Side
from tests.evidence.openscap import OpenScap
from tests.evidence.page import as_text, open_findings, page, section
from tests.evidence.speed import Speed
from tests.evidence.ssh_audit import SshAudit

KEYS = Finding("ssh-audit", "Host keys", "is a | b; the policy has a")
SYSCTL = Finding("lynis", "KRNL-6000", "kernel.modules_disabled is 0, not 1")
WHY = Deviation(
    judge="lynis", finding="KRNL-*", about="modules_disabled", why="ufw loads modules later."
)


def side(*, index: int, failures: int, passed: bool, units: dict[str, float]) -> Side:
    return Side(
        lynis=Lynis(version="3", index=index, tests="250", findings=(SYSCTL,),
                    points={"KRNL-6000": (3, 4), "FINT-4350": (5, 5), "USB-3000": (0, 8)}),
        openscap=OpenScap(content="oscap", results={f"r{n}": "fail" for n in range(failures)}),
        ssh_audit=SshAudit(program="ssh-audit", policy="Hardened", passed=passed,
                           findings=() if passed else (KEYS,)),
        exposure=units, speed=Speed(steps=12, check_s=0.4, peak_mb=34.0),
    )  # fmt: skip


BEFORE = side(index=59, failures=9, passed=False, units={"a.service": 9.0})
AFTER = side(index=85, failures=4, passed=True, units={"a.service": 9.0, "b.service": 9.6})
APPLIED = Applied(step="ssh.limits", before="fail", exit_status=0, summary="Done.", after="pass")
REFUSED = Applied(
    step="app.x", before="fail", exit_status=3, summary="Refused.", after="fail", note="x is 1"
)
RELEASE = Release(suite="trixie", before=BEFORE, after=AFTER, steps=(APPLIED, REFUSED))


def test_goals_that_are_met() -> None:
    assert [goal.met for goal in goals(RELEASE)] == [True] * 6
    assert met([RELEASE]) and not met([])


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"lynis": msgspec.structs.replace(AFTER.lynis, index=84)}, 0),  # type: ignore[type-var]
        ({"openscap": BEFORE.openscap}, 1),
        ({"ssh_audit": BEFORE.ssh_audit}, 2),
        ({"exposure": {"a.service": 9.1}}, 3),
        ({"speed": Speed(steps=12, check_s=1.6, peak_mb=34.0)}, 4),
        ({"speed": Speed(steps=12, check_s=0.4, peak_mb=61.0)}, 5),
        ({"lynis": None}, 0), ({"openscap": None}, 1), ({"ssh_audit": None}, 2),
        ({"exposure": None}, 3), ({"speed": None}, 4),
    ],
)  # fmt: skip
def test_goals_that_are_missed(changed: dict[str, object], number: int) -> None:
    worse = msgspec.structs.replace(AFTER, **changed)
    release = msgspec.structs.replace(RELEASE, after=worse)
    assert not goals(release)[number].met
    assert goals(release)[number].verdict == "MISSED"
    assert not met([RELEASE, release])


def test_half_of_nothing_known_is_not_met() -> None:
    before = msgspec.structs.replace(BEFORE, openscap=None)
    assert not goals(msgspec.structs.replace(RELEASE, before=before))[1].met


def test_a_finding_stays_for_a_reason_or_is_open() -> None:
    assert reason(SYSCTL, "trixie", [WHY]) == WHY.why
    other = Finding("lynis", "KRNL-6000", "kernel.kptr_restrict is 0, not 2")
    for finding in (other, KEYS, Finding("openscap", "KRNL-6000", "modules_disabled")):
        assert reason(finding, "trixie", [WHY]) == ""
    only = msgspec.structs.replace(WHY, releases=("bookworm",))
    assert reason(SYSCTL, "trixie", [only]) == "" and reason(SYSCTL, "bookworm", [only])


def test_sentences_about_nothing_are_named() -> None:
    assert unused([WHY], [(SYSCTL, "trixie")], ["trixie"]) == []
    assert unused([WHY], [(KEYS, "trixie")], ["trixie"]) == [WHY]
    only = msgspec.structs.replace(WHY, releases=("bookworm",))
    assert unused([only], [], ["trixie"]) == [], "bookworm was not asked"


def test_the_sentences_are_as_described(tmp_path: Path) -> None:
    for one in deviations():
        assert one.why.endswith(".") and len(one.why) > 30, one
        assert set(one.releases) <= {"bookworm", "trixie"}, one
    wrong = tmp_path / "deviations.yaml"
    wrong.write_text("- {judge: lynis, finding: A-1}\n")
    with pytest.raises(msgspec.ValidationError, match="why"):
        deviations(wrong)


def test_the_page() -> None:
    text = page({"trixie": section({"Date": "today"}, RELEASE, [WHY])})
    assert "| Lynis, hardening index | 59 | 85 | at least 85 | met |" in text
    assert "| `ssh.limits` | fail | pass |  |" in text
    assert "| `app.x` | fail | fail | Refused.; x is 1 |" in text
    assert "1 of 2 are as they should be" in text
    assert f"| lynis | `KRNL-6000` | {SYSCTL.text} | {WHY.why} |" in text
    assert "| openscap | `r0` |  | **open** |" in text
    assert "11 findings before, 6 of them gone, 5 now: 1 with a reason, 4 open." in text
    assert "| `KRNL-6000` | 3 of 4 | 3 of 4 | 1 | see above |" in text
    assert "| `USB-3000` | 0 of 8 | 0 of 8 | 8 | **open** |" in text and "FINT-4350" not in text
    assert "| `b.service` |  | 9.6 |" in text
    assert "Content of OpenSCAP" in text, "Debian 12's content judged another release"
    assert [one.id for one in open_findings(RELEASE, [WHY])] == [
        "r0", "r1", "r2", "r3", "USB-3000",
    ]  # fmt: skip
    assert "a \\| b" in section({}, msgspec.structs.replace(RELEASE, after=BEFORE), [])
    assert page(sections_of(text, ("trixie",))) == text, "read back as it was written"


def test_what_was_not_measured_is_said() -> None:
    lost = msgspec.structs.replace(AFTER, lynis=None, problems={"lynis": "it\nbroke off"})
    text = section({}, msgspec.structs.replace(RELEASE, after=lost), [])
    assert "- lynis was not measured after: it broke off" in text
    assert "not measured" in as_text(msgspec.structs.replace(RELEASE, after=lost))


def test_what_a_check_and_an_apply_answer() -> None:
    finding = (
        b'{"setting": "MaxAuthTries", "running": "6", "persistent": "", "expected": "3",'
        b' "note": "", "ok": false, "applicable": true}'
    ).decode()
    rows = [
        f'{{"id": "a.b", "status": "{status}", "note": "", "findings": [{finding}]}}'
        for status in ("fail", "pass")
    ]
    assert checked(f'{{"steps": [{rows[0]}]}}')["a.b"].note == "MaxAuthTries is 6, not 3"
    assert checked(f'{{"steps": [{rows[1]}]}}')["a.b"].note == ""
    assert said('{"summary": "Refused."}') == "Refused."
    assert said("Traceback") == said("[]") == ""
