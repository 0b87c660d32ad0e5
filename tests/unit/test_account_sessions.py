"""Profiles of PAM, sessions of people and their homes: what is planned, and what is left alone."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from host.facts import FactUnavailable
from host.facts.apache import Apache
from host.facts.apache_config import Config, Directive
from host.facts.local_accounts import parse_local_accounts
from host.facts.login import parse_accounts
from host.facts.login_defs import parse_login_defs
from host.facts.owners import parse_numbers
from host.facts.pam_files import PLACE, PROFILES
from host.facts.shell_session import SHELL_SESSION, UNKNOWN, Idle, ShellSession, parse_session
from host.facts.statoverride import parse_overrides
from host.facts.sudo_callers import parse_callers
from host.facts.sudo_defaults import SudoDefaults
from snapshots.model import Change, RunCommand, WriteFile
from steps import guard_sudo
from steps.catalog_load import built_in
from steps.resource import Context, StepError
from steps.resources.homes import Homes
from steps.resources.pam_profile import PamProfile
from steps.resources.shell_session import ShellSessions
from steps.resources.su_group import SuGroup
from steps.resources.sudo_callers import SUDO, SudoCallers
from tests.unit.given import RELEASES, context, packages, recorded

STACKS = ("common-auth", "common-account")
BEFORE, AFTER = "harden-tui-lockout-before", "harden-tui-lockout-after"


def lockout() -> list[PamProfile]:
    """The profiles of accounts.lockout, with its default values."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        return {"{deny}": 3, "{unlock-seconds}": 900}.get(value, value)

    ensured = built_in()[0]["accounts.lockout"].ensure
    bodies = [one for one in ensured if "pam-profile" in one]
    return [PamProfile.parse("accounts.lockout", filled(one)["pam-profile"]) for one in bodies]


def pam(
    directory: Path, release: str, folder: str = "accounts", edit: tuple[str, str] = ("", "")
) -> Context:
    texts = {f"{PLACE}/{name}": recorded(release, f"{folder}/{name}") for name in STACKS}
    changed = {path: text.replace(*edit) if edit[0] else text for path, text in texts.items()}
    return context(directory, pam_files=changed)


def commands(changes: tuple[Change, ...]) -> list[str]:
    return [" ".join(one.argv) for one in changes if isinstance(one, RunCommand)]


def written(changes: tuple[Change, ...]) -> dict[str, str]:
    return {one.path: one.content.decode() for one in changes if isinstance(one, WriteFile)}


@pytest.mark.parametrize("release", RELEASES)
def test_a_profile_is_written_and_pam_is_told(tmp_path: Path, release: str) -> None:
    ctx = pam(tmp_path, release)
    before, after = (one.plan(ctx) for one in lockout())
    assert before.refusals == after.refusals == ()
    assert commands(before.changes) == [f"pam-auth-update --package --enable {BEFORE}"]
    values = "deny=3 fail_interval=900 unlock_time=900"
    assert written(before.changes)[f"{PROFILES}/{BEFORE}"] == (
        "Name: Refuse passwords while too many were wrong (harden-tui)\nDefault: yes\n"
        "Priority: 1024\nAuth-Type: Primary\nAuth:\n"
        f"\trequired pam_faillock.so preauth {values}\n"
        "Account-Type: Primary\nAccount:\n\trequired pam_faillock.so\n"
    )
    line = f"\t[default=die] pam_faillock.so authfail {values}\n"
    assert line in written(after.changes)[f"{PROFILES}/{AFTER}"]


@pytest.mark.parametrize("release", RELEASES)
def test_what_pam_auth_update_makes_of_it_is_right(tmp_path: Path, release: str) -> None:
    ctx = pam(tmp_path, release, "accounts/lockout")
    for profile in lockout():
        findings = profile.observe(ctx)
        assert [f.setting for f in findings if not f.ok] == []
        assert all(f.origin.startswith("/etc/pam.d/common-") for f in findings)
        assert profile.plan(ctx).changes == ()


def test_a_value_that_is_too_mild_and_a_place_that_is_too_late_are_seen(tmp_path: Path) -> None:
    mild = pam(tmp_path / "a", "trixie", "accounts/lockout", edit=("deny=3", "deny=9"))
    wrong = [(f.setting, f.running) for p in lockout() for f in p.observe(mild) if not f.ok]
    assert [running for _, running in wrong] == ["9"] * 3
    never = pam(
        tmp_path / "n", "trixie", "accounts/lockout", edit=("unlock_time=900", "unlock_time=0")
    )
    assert [f.running for p in lockout() for f in p.observe(never) if not f.ok] == ["0"] * 3
    path = f"{PLACE}/common-auth"
    text = recorded("trixie", "accounts/lockout/common-auth")
    line = next(one for one in text.splitlines() if "preauth" in one)
    late = context(tmp_path / "b", pam_files={path: text.replace(line, "") + line})
    first = lockout()[0].observe(late)[0]
    assert (first.ok, first.running) == (False, "asked only after pam_unix.so")


def test_somebody_elses_lines_are_not_doubled(tmp_path: Path) -> None:
    text = recorded("bookworm", "accounts/common-auth")
    other = f"auth requisite pam_faillock.so preauth\n{text}"
    planned = lockout()[0].plan(context(tmp_path, pam_files={f"{PLACE}/common-auth": other}))
    assert planned.refusals[0].startswith("/etc/pam.d/common-auth:1 asks pam_faillock.so already")


def test_a_host_without_the_stacks_is_none_for_it(tmp_path: Path) -> None:
    findings = [f for p in lockout() for f in p.observe(context(tmp_path, pam_files={}))]
    assert findings
    assert not any(f.applicable for f in findings)


def test_a_profile_of_a_package_comes_with_it(tmp_path: Path) -> None:
    body = {"name": "tmpdir", "package": "libpam-tmpdir",
            "lines": [{"type": "session", "line": "optional pam_tmpdir.so"}]}  # fmt: skip
    resource = PamProfile.parse("x", body)
    stacks = {f"{PLACE}/common-session": "session optional pam_umask.so\n"}
    there = context(tmp_path, pam_files=stacks, packages=packages("libpam-tmpdir"), dpkg_busy="")
    assert commands(resource.plan(there).changes) == ["pam-auth-update --package --enable tmpdir"]
    asked = {f"{PLACE}/common-session": "session optional pam_tmpdir.so\n"}
    done = context(tmp_path / "b", pam_files=asked, packages=packages("libpam-tmpdir"))
    assert [f.ok for f in resource.observe(done)] == [True]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "../x", "title": "t", "lines": [{"type": "auth", "line": "required pam_x.so"}]},
        {"name": "x", "title": "t", "lines": []},
        {"name": "x", "title": "t", "lines": [{"type": "auth", "line": "required x"}]},
        {"name": "x", "lines": [{"type": "auth", "line": "required pam_x.so"}]},
    ],
)
def test_a_profile_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(StepError):
        PamProfile.parse("x", body)


def test_the_rehearsal_knows_a_pause_that_is_only_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = lockout()[0].plan(pam(tmp_path, "trixie"))
    ctx = context(tmp_path / "b")
    monkeypatch.setattr(guard_sudo, "parse_faillock", lambda text: [2.0**40] * 3)
    monkeypatch.setattr(type(ctx.host), "run", lambda *_a, **_k: type("R", (), {"stdout": ""})())
    alice = parse_accounts(PASSWD, "", "alice:$y$j9T$a$b:20000:0:99999:7:::\n")["alice"]
    works = guard_sudo._password_works
    assert works(ctx, alice, {})
    assert not works(ctx, alice, written(planned.changes))


@pytest.mark.parametrize("release", RELEASES)
def test_su_is_for_a_group_before_any_password_is_asked_for(tmp_path: Path, release: str) -> None:
    path, text = f"{PLACE}/su", recorded(release, "accounts/su")
    resource = SuGroup.parse("x", {"group": "sudo"})
    ctx = context(tmp_path, pam_files={path: text})
    assert [(f.ok, f.running) for f in resource.observe(ctx)] == [(False, "everybody")]
    new = written(resource.plan(ctx).changes)
    modules = [line.split()[2] for line in new[path].splitlines() if line.startswith("auth ")]
    assert modules == ["pam_rootok.so", "pam_wheel.so"]
    assert new[path].index("pam_wheel.so use_uid") < new[path].index("@include common-auth")
    after = context(tmp_path / "b", pam_files=new)
    assert [f.ok for f in resource.observe(after)] == [True]
    assert resource.plan(after).changes == ()
    looser = {path: new[path].replace("group=sudo", "group=wheel")}
    other = resource.plan(context(tmp_path / "c", pam_files=looser))
    assert written(other.changes) == new
    trusting = {path: new[path].replace("requisite  pam_wheel", "sufficient pam_wheel")}
    assert resource.plan(context(tmp_path / "d", pam_files=trusting)).refusals


SESSIONS = ShellSessions.parse("accounts.sessions", {"umask": "077", "idle-s": 900})


def session(directory: Path, release: str, **parts: str) -> Context:
    texts = {"/etc/profile": recorded(release, "accounts/profile")}
    texts |= {f"/etc/profile.d/{name}.sh": text for name, text in sorted(parts.items())}
    texts["/etc/bash.bashrc"] = recorded(release, "accounts/bash.bashrc")
    return context(directory, shell_session=ShellSession(texts))


@pytest.mark.parametrize("release", RELEASES)
def test_a_session_is_told_its_umask_and_its_end(tmp_path: Path, release: str) -> None:
    ctx = session(tmp_path, release)
    assert [f.ok for f in SESSIONS.observe(ctx)] == [False] * 3
    new = written(SESSIONS.plan(ctx).changes)
    bashrc = new.pop("/etc/bash.bashrc")
    assert bashrc.startswith(recorded(release, "accounts/bash.bashrc"))
    (path,) = new
    texts = {"/etc/profile": recorded(release, "accounts/profile"), **new,
             "/etc/bash.bashrc": bashrc}  # fmt: skip
    after = context(tmp_path / "b", shell_session=ShellSession(texts))
    assert [(f.ok, f.origin.partition(":")[0]) for f in SESSIONS.observe(after)] == [
        (True, path), (True, "/etc/bash.bashrc"), (True, path),
    ]  # fmt: skip
    assert SESSIONS.plan(after).changes == ()
    milder = ShellSessions.parse("accounts.sessions", {"umask": "027", "idle-s": 0})
    assert milder.plan(after).changes == ()
    other = ShellSessions.parse("accounts.sessions", {"umask": "177", "idle-s": 900})
    again = written(other.plan(after).changes)
    assert again["/etc/bash.bashrc"] == bashrc.replace("umask 077", "umask 177")


def test_what_is_fixed_already_is_not_fought_with(tmp_path: Path) -> None:
    longer = session(tmp_path, "trixie", site="readonly TMOUT=7200\n")
    assert "/etc/profile.d/site.sh:1 sets TMOUT=7200" in SESSIONS.plan(longer).refusals[0]
    shorter = session(tmp_path / "b", "trixie", site="typeset -r TMOUT=600\n")
    assert SESSIONS.plan(shorter).refusals == ()
    assert SESSIONS.observe(shorter)[-1].ok
    loose = session(tmp_path / "c", "trixie", site="export TMOUT=600\n")
    assert "may change" in SESSIONS.observe(loose)[-1].running


@pytest.mark.parametrize(
    ("line", "text", "fixed"),
    [
        ("typeset -xr TMOUT=86400", "86400", True),
        ("declare -rx TMOUT=86400", "86400", True),
        ("  declare -x -r FOO=1 TMOUT='864'00 # a day", "86400", True),
        ("TMOUT=86400\nreadonly TMOUT\nexport TMOUT", "86400", True),
        ("TMOUT=600; export TMOUT; readonly TMOUT", "600", True),
        ("readonly TMOUT=600 FOO=1", "600", True),
        ("readonly FOO=1 TMOUT=600", "600", True),
        ("export TMOUT=600", "600", False),
        ("TMOUT=600 true", None, False),
        ("TMOUT=600; unset TMOUT", None, False),
        ("TMOUT=600; unset -- -r TMOUT", None, False),
        ("TMOUT=600; unset FOO -f TMOUT", None, False),
        ("TMOUT=600; unset -v TMOUT", None, False),
        ("TMOUT=600; unset -r TMOUT", "600", False),
        ("TMOUT=600; unset -vf TMOUT", "600", False),
        ("readonly TMOUT; TMOUT=600", None, True),
        ("readonly TMOUT=600; TMOUT=86400", "600", True),
        ("declare -r +r TMOUT=600", "600", False),
        ("readonly -x TMOUT=600", None, False),
        ("readonly 'TMOUT=600'", "600", True),
        ("LC_ALL=C readonly TMOUT=600", "600", True),
        ("builtin readonly TMOUT=600", "600", True),
        ("readonly TMOUT=$(cat /x)", UNKNOWN, True),
        ("echo 'readonly TMOUT=600'", None, False),
        ("cat <<END\nreadonly TMOUT=600\nEND\nTMOUT=7", "7", False),
        ("return\nreadonly TMOUT=600", None, False),
    ],
)
def test_how_the_end_of_a_session_is_set(line: str, text: str | None, fixed: bool) -> None:
    (idle,) = ShellSession({"/etc/profile": line}).idle()
    assert (idle.text, idle.fixed) == (text, fixed)


@pytest.mark.parametrize("line", ["typeset -xr TMOUT=86400", "TMOUT=86400\nreadonly TMOUT"])
def test_the_first_that_is_fixed_decides(tmp_path: Path, line: str) -> None:
    """Our own part steps aside then, so its line is none that counts."""
    new = written(SESSIONS.plan(session(tmp_path, "bookworm")).changes)
    ours = next(text for path, text in new.items() if path.endswith(".sh"))
    name = "zz-harden-tui-accounts-sessions"
    first = session(tmp_path / "b", "bookworm", site=line, **{name: ours})
    finding = SESSIONS.observe(first)[-1]
    assert (finding.ok, finding.running) == (False, "86400")
    assert "site.sh:" in finding.origin
    assert f"{finding.origin} sets TMOUT=86400" in SESSIONS.plan(first).refusals[0]
    later = session(tmp_path / "c", "bookworm", **{name: ours, "zzz": line})
    assert SESSIONS.observe(later)[-1].ok


@pytest.mark.parametrize("release", RELEASES)
def test_lines_around_the_parts_are_read_where_they_stand(tmp_path: Path, release: str) -> None:
    ours = written(SESSIONS.plan(session(tmp_path, release)).changes)
    texts = session(tmp_path, release).facts.get(SHELL_SESSION).texts
    before = {**texts, **ours, "/etc/bash.bashrc": "readonly TMOUT=7200\n"}
    assert [(i.text, i.origin) for i in ShellSession(before).idle()] == [
        ("7200", "/etc/bash.bashrc:1")
    ]
    behind = {**texts, **ours, "/etc/profile": texts["/etc/profile"] + "readonly TMOUT=7200\n"}
    (finding,) = SESSIONS.observe(context(tmp_path, shell_session=ShellSession(behind)))[-1:]
    assert (finding.ok, finding.running) == (True, "900")


def test_a_line_under_a_condition_counts_only_where_it_makes_no_difference(tmp_path: Path) -> None:
    short = session(tmp_path, "trixie", site='if [ "$X" ]; then readonly TMOUT=600; fi\n')
    assert SESSIONS.observe(short)[-1].running == "never, under a condition"
    planned = SESSIONS.plan(short)
    assert planned.refusals == ()
    texts = {**short.facts.get(SHELL_SESSION).texts, **written(planned.changes)}
    assert SESSIONS.observe(context(tmp_path, shell_session=ShellSession(texts)))[-1].ok
    long = session(tmp_path / "b", "trixie", site='[ "$X" ] && readonly TMOUT=7200\n')
    assert "site.sh:1 sets TMOUT=7200" in SESSIONS.plan(long).refusals[0]


WORD = st.sampled_from(
    ("TMOUT=86400", "TMOUT=600", "TMOUT='9'00", 'TMOUT="300"', "TMOUT", "FOO=1", "FOO", "BAR=TMOUT",
     "TMOUT+=1", "TMOUT=", "TMOUT=$HOME", "XTMOUT=5", "TMOUTS=5", '"TMOUT=200"', "{A,TMOUT}=4")
)  # fmt: skip
OPTION = st.sampled_from(("-r", "-x", "-xr", "-rx", "-p", "+r", "-i", "-g", "--", "-n", "-f", "+x"))
BUILTIN = st.sampled_from(
    ("readonly", "declare", "typeset", "export", "", "unset", "A=1 readonly", "\\typeset")
)
SIMPLE = st.builds(
    lambda builtin, options, words: " ".join(filter(None, (builtin, *options, *words))),
    BUILTIN, st.lists(OPTION, max_size=2), st.lists(WORD, min_size=1, max_size=3),
)  # fmt: skip
LINE = st.one_of(
    SIMPLE,
    st.builds("{}; {}".format, SIMPLE, SIMPLE),
    st.builds("  {} # {}".format, SIMPLE, SIMPLE),
    st.builds("{} 2>/dev/null".format, SIMPLE),
    st.builds("true && {}".format, SIMPLE),
    st.builds("false || {}".format, SIMPLE),
    st.builds("false && {}".format, SIMPLE),
    st.builds("if false; then\n  {}\nelse {}; fi".format, SIMPLE, SIMPLE),
    st.builds("f() {{\n{}\n}}".format, SIMPLE),
    st.builds("( {} )".format, SIMPLE),
    st.builds("{} | cat".format, SIMPLE),
    st.builds("case x in\n*y*) {} ;;\nesac".format, SIMPLE),
    st.builds("cat <<'END' >/dev/null\n{}\nEND".format, SIMPLE),
    st.builds('echo "$(date "+%F")" "{}" >/dev/null'.format, SIMPLE.filter(lambda s: '"' not in s)),
    st.just("[ -n x ] || return"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LINE, max_size=4).map("\n".join), min_size=2, max_size=2))
def test_bash_says_the_same(files: list[str]) -> None:
    """Whatever bash ends with is among what is said, but for what only a shell can tell. Bash
    leaves off where a line would change what is fixed, so it is asked when it goes."""
    with tempfile.TemporaryDirectory() as place:
        for number, text in enumerate(files):
            (Path(place) / f"f{number}").write_text(f"{text}\n")
        script = 'trap "echo; echo END; declare -p TMOUT" EXIT; unset TMOUT; . ./f0; . ./f1'
        answer = subprocess.run(
            ["/bin/bash", "--norc", "--noprofile", "-c", script], cwd=place, capture_output=True,
            text=True, timeout=20, check=False, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
    ended = answer.stdout.rpartition("\nEND\n")[2]
    told = re.search(r'^declare -(\S+) TMOUT(?:="(.*)")?$', ended, re.MULTILINE)
    bash = Idle(told[2], "r" in told[1]) if told else Idle()
    names = ("/etc/profile.d/f0.sh", "/etc/profile.d/f1.sh")
    said = ShellSession(dict(zip(names, files, strict=True))).idle()
    if UNKNOWN not in {idle.text for idle in said}:
        ends = {(idle.seconds, idle.fixed) for idle in said}
        assert (bash.seconds, bash.fixed) in ends, (files, bash, said)


@given(st.text(alphabet="umask07 TMOUT=readonly\t#;export-\n", max_size=200))
def test_lines_of_a_profile_are_taken_as_they_come(text: str) -> None:
    lines = parse_session("/p", text)
    assert all(said.value <= 0o777 for said in lines)
    assert ShellSession({"/etc/profile": text}).idle()


PASSWD = """\
root:x:0:0::/root:/bin/bash
git:x:110:110::/srv/git:/bin/bash
alice:x:1000:1000::/home/alice:/bin/bash
bob:x:1001:1001::/home/bob:/usr/sbin/nologin
"""
HOMES = {"mode": "0750", "startup": "0740", "keys": "0600"}


def homes(directory: Path, *, pages: str = "", link: bool = False) -> Context:
    apache: Any = FactUnavailable("no Apache")
    if pages:
        directive = Directive("DocumentRoot", pages, "/etc/apache2/x.conf", 3)
        apache = Apache(Config((directive,)), {}, (), (), {})
    defs = parse_login_defs("UID_MIN 1000\nUID_MAX 60000\n")
    ctx = context(directory, local_accounts=parse_local_accounts(PASSWD, ""), login_defs=defs,
                  apache=apache)  # fmt: skip
    for name, uid in (("alice", 1000), ("bob", 1001)):
        ctx.host.put(f"/home/{name}", FileState(kind="dir", mode=0o755, uid=uid, gid=uid))
    bashrc = FileState(kind="file", mode=0o644, uid=1000, gid=1000)
    ctx.host.put("/home/alice/.bashrc", bashrc, b"#\n")
    ctx.host.put("/home/alice/.ssh", FileState(kind="dir", mode=0o700, uid=1000, gid=1000))
    ctx.host.put("/home/alice/.ssh/authorized_keys", bashrc, b"#\n")
    if link:
        ctx.host.put("/home/alice/.profile", FileState(kind="symlink", target="/etc/passwd"))
    return ctx


def test_a_home_is_closed_by_the_hand_of_its_owner(tmp_path: Path) -> None:
    planned = Homes.parse("x", HOMES).plan(homes(tmp_path, link=True))
    by = "setpriv --reuid=1000 --regid=1000 --clear-groups chmod"
    assert commands(planned.changes) == [
        f"{by} 0750 /home/alice",
        f"{by} 0640 /home/alice/.bashrc",
        f"{by} 0600 /home/alice/.ssh/authorized_keys",
    ]
    assert [root.path for root in planned.roots] == [
        "/home/alice", "/home/alice/.bashrc", "/home/alice/.ssh/authorized_keys",
    ]  # fmt: skip


def test_a_home_that_is_served_stays_open(tmp_path: Path) -> None:
    served = homes(tmp_path, pages="/home/alice/site/public")
    resource = Homes.parse("x", HOMES)
    found = resource.observe(served)[0]
    assert (found.applicable, "/etc/apache2/x.conf:3" in found.note) == (False, True)
    closed = [command.split()[-1] for command in commands(resource.plan(served).changes)]
    assert closed == ["/home/alice/.bashrc", "/home/alice/.ssh/authorized_keys"]
    other = homes(tmp_path / "b", pages="/home/alicea")
    assert len(resource.plan(other).changes) == 3
    kept = Homes.parse("x", {**HOMES, "keep": ["alice"]})
    assert kept.plan(homes(tmp_path / "c")).changes == ()


GROUP = "root:x:0:\nsudo:x:27:alice\nadmins:x:200:alice\nweb:x:201:bob\n"


def callers(directory: Path, sudoers: str, mode: int = 0o4755) -> Context:
    ctx = context(
        directory,
        accounts=parse_accounts(PASSWD, GROUP, ""),
        sudo_defaults=SudoDefaults({}, (), {"/etc/sudoers": sudoers}),
        user_numbers=parse_numbers(PASSWD), group_numbers=parse_numbers(GROUP),
        dpkg_statoverride=parse_overrides(""), packaged={SUDO: "sudo"}, packages=packages(),
    )  # fmt: skip
    for folder in ("/usr", "/usr/bin"):
        ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    ctx.host.put(SUDO, FileState(kind="file", mode=mode), b"")
    return ctx


@pytest.mark.parametrize(
    "sudoers",
    [
        "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\nDefaults use_pty\n",
        "alice ALL=(ALL) NOPASSWD: ALL\n%admins ALL = (root) /bin/true\n",
        "User_Alias A = alice, %sudo\nA ALL=(ALL) \\\n ALL # nagios ALL=(ALL) ALL\n",
    ],
)
def test_sudo_is_for_its_group_where_sudoers_names_nobody_else(
    tmp_path: Path, sudoers: str
) -> None:
    resource = SudoCallers.parse("x", {"group": "sudo"})
    ctx = callers(tmp_path, sudoers)
    assert [(f.ok, f.applicable) for f in resource.observe(ctx)] == [(False, True)]
    assert commands(resource.plan(ctx).changes)[0].endswith("root sudo 4110 /usr/bin/sudo")


@pytest.mark.parametrize(
    ("sudoers", "named"),
    [
        ("nagios ALL=(root) NOPASSWD: /bin/true\n", "nagios"),
        ("%web ALL=(ALL) ALL\n", "%web"),
        ("User_Alias OPS = alice, bob\nOPS ALL=(ALL) ALL\n", "bob"),
        ("alice, bob ALL=(ALL) ALL\n", "bob"),
        ("ALL ALL=(ALL) NOPASSWD: /bin/true\n", "ALL"),
        ("+netgroup ALL=(ALL) ALL\n", "+netgroup"),
    ],
)
def test_sudo_stays_for_all_where_sudoers_names_others(
    tmp_path: Path, sudoers: str, named: str
) -> None:
    resource = SudoCallers.parse("x", {"group": "sudo"})
    ctx = callers(tmp_path, f"root ALL=(ALL:ALL) ALL\n{sudoers}")
    (finding,) = resource.observe(ctx)
    assert (finding.applicable, f"names {named}" in finding.note) == (False, True)
    assert resource.plan(ctx).changes == ()


def test_whom_sudoers_names_since_then_is_said_not_to_start_it(tmp_path: Path) -> None:
    resource = SudoCallers.parse("accounts.sudo-callers", {"group": "sudo"})
    ctx = callers(tmp_path, "nagios ALL=(root) NOPASSWD: /bin/true\n", mode=0o4110)
    (finding,) = resource.observe(ctx)
    assert (finding.ok, finding.applicable) == (False, True)
    assert "rollback accounts.sudo-callers" in resource.plan(ctx).refusals[0]


@given(st.text(alphabet='ALroot%sud=():,\\ \t\n#"!@+User_Alias', max_size=200))
def test_any_text_names_somebody_or_nobody(text: str) -> None:
    assert all(parse_callers([text]))
