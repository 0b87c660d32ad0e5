"""What the kinds of resources about accounts plan, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from host.base import FileState
from host.facts.local_accounts import LocalAccount, parse_local_accounts
from host.facts.login import parse_accounts
from host.facts.login_defs import parse_login_defs
from host.facts.pam_files import PLACE
from host.facts.pwquality import Pwquality
from host.facts.sudo_defaults import SudoDefaults, parse_defaults
from snapshots.differences_text import between, side_text
from snapshots.execute import describe
from snapshots.model import Change, FileItem, RunCommand, WriteFile
from steps.catalog_load import built_in
from steps.model import Parameter
from steps.parameters import convert, problem_of, resolve
from steps.plan import Work, fingerprint
from steps.redact import Redactor
from steps.render import render
from steps.resource import Context, StepError
from steps.resources.administrator import Administrator, key_problem
from steps.resources.locked_password import LockedPassword
from steps.resources.pam import Pam
from steps.resources.password_ageing import PasswordAgeing
from steps.resources.pwquality import PasswordQuality
from steps.resources.sudo_defaults import SudoSettings
from steps.resources.system_shells import SystemShells
from steps.resources.umask import Umask
from tests.unit.given import RELEASES, context, packages, recorded

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICyFV5J35UqMsiZJlniQ942Y/T/DeVSrsowjBm6XRaan anna@laptop"
SECRET = "staple-Horse-seven"
PASSWD = """\
root:x:0:0::/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
sync:x:4:65534::/bin:/bin/sync
git:x:110:110::/srv/git:/bin/bash
alice:x:1000:1000::/home/alice:/bin/bash
"""
SHADOW = """\
root:$y$j9T$a$b:20000:0:99999:7:::
daemon:*:20000:0:99999:7:::
sync:*:20000:0:99999:7:::
git:{git}:20000:0:99999:7:::
alice:{alice}:20000:0:99999:7:::
"""
GROUP = "root:x:0:\nsudo:x:27:alice\ngit:x:110:\nalice:x:1000:\n"
DEFS = parse_login_defs("UID_MIN 1000\nUID_MAX 60000\n")


def local(*, git: str = "!", alice: str = "$y$j9T$a$b") -> dict[str, LocalAccount]:
    return parse_local_accounts(PASSWD, SHADOW.format(git=git, alice=alice))


def commands(changes: tuple[Change, ...]) -> list[str]:
    return [" ".join(one.argv) for one in changes if isinstance(one, RunCommand)]


def written(changes: tuple[Change, ...]) -> dict[str, str]:
    return {one.path: one.content.decode() for one in changes if isinstance(one, WriteFile)}


def test_empty_passwords_are_locked(tmp_path: Path) -> None:
    ctx = context(tmp_path, local_accounts=local(git=""))
    resource = LockedPassword.parse("x", {"of": "empty"})
    assert [(f.ok, f.origin) for f in resource.observe(ctx)] == [(False, "/etc/shadow:4")]
    assert commands(resource.plan(ctx).changes) == ["usermod --lock git"]


def test_root_is_not_locked_while_nobody_else_could_become_root(tmp_path: Path) -> None:
    accounts = parse_accounts(PASSWD, "root:x:0:\n", SHADOW.format(git="!", alice="*"))
    ctx = context(tmp_path, local_accounts=local(alice="*"), accounts=accounts)
    planned = LockedPassword.parse("x", {"of": "root"}).plan(ctx)
    assert planned.changes == ()
    assert "no account but root's own" in planned.refusals[0]


def test_shells_of_services_go_and_those_of_people_stay(tmp_path: Path) -> None:
    ctx = context(
        tmp_path, local_accounts=local(git="$y$j9T$a$b"), login_defs=DEFS, logged_in=("alice",)
    )
    resource = SystemShells.parse("x", {})
    assert commands(resource.plan(ctx).changes) == [
        "usermod --shell /usr/sbin/nologin git",
        "usermod --lock git",
    ]
    wrong = [f.setting for f in resource.observe(ctx) if f.ok is False]
    assert wrong == ["shell of git", "password of git"]
    kept = SystemShells.parse("x", {"keep": ["git"]})
    assert kept.plan(ctx).changes == ()
    assert [f for f in kept.observe(ctx) if f.applicable and not f.ok] == []


def test_a_service_account_somebody_logs_in_with_is_left_alone(tmp_path: Path) -> None:
    ctx = context(tmp_path, local_accounts=local(), login_defs=DEFS, logged_in=())
    assert SystemShells.parse("x", {}).plan(ctx).refusals == ()
    for directory in ("/srv", "/srv/git", "/srv/git/.ssh"):
        ctx.host.put(directory, FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/srv/git/.ssh/authorized_keys", f"{KEY}\n".encode())
    refusals = SystemShells.parse("x", {}).plan(ctx).refusals
    assert "/srv/git/.ssh/authorized_keys" in refusals[0]
    assert "accounts.system-shells.keep=git" in refusals[0]


def pam_context(directory: Path, release: str, **more: Any) -> Context:
    names = ("common-auth", "common-password", "common-session", "common-session-noninteractive")
    texts = {f"{PLACE}/{name}": recorded(release, f"accounts/{name}") for name in names}
    defs = parse_login_defs(recorded(release, "accounts/login.defs"))
    return context(directory, pam_files=texts, login_defs=defs, **more)


@pytest.mark.parametrize("release", RELEASES)
def test_options_of_pam_are_edited_and_are_right_then(tmp_path: Path, release: str) -> None:
    ctx = pam_context(tmp_path, release)
    for body in (
        {"type": "auth", "module": "pam_unix.so", "without": ["nullok"]},
        {"type": "password", "module": "pam_unix.so", "with": {"rounds": 7}, "flags": ["yescrypt"]},
    ):
        resource = Pam.parse("x", body)
        assert [f for f in resource.observe(ctx) if f.ok is False]
        texts = written(resource.plan(ctx).changes)
        after = context(tmp_path / body["type"], pam_files=texts)  # type: ignore[operator]  # text
        assert [f for f in resource.observe(after) if not f.ok] == []
        assert resource.plan(after).changes == ()


@pytest.mark.parametrize("release", RELEASES)
def test_a_umask_goes_where_pam_auth_update_leaves_it(tmp_path: Path, release: str) -> None:
    ctx = pam_context(tmp_path, release)
    resource = Umask.parse("x", {"umask": "027"})
    texts = written(resource.plan(ctx).changes)
    assert len(texts) == 2
    for text in texts.values():
        lines = [line for line in text.splitlines() if "pam_umask.so" in line]
        assert len(lines) == 1
        assert lines[0].split()[-2:] == ["nousergroups", "umask=0027"]
        block = text[text.index('(the "Additional" block)') : text.index("# end of pam-auth")]
        assert "pam_umask" not in block
    after = context(tmp_path / "b", pam_files=texts, login_defs=ctx.facts.get(_defs()))
    assert all(f.ok for f in resource.observe(after))
    assert resource.plan(after).changes == ()


def test_a_shell_that_sets_its_own_umask_is_named(tmp_path: Path) -> None:
    ctx = pam_context(tmp_path, "trixie", shell_umasks=[("/etc/profile:3", 0o022), ("/x:1", 0o077)])
    resource = Umask.parse("x", {"umask": "027"})
    named = [f.origin for f in resource.observe(ctx) if f.setting == "umask of a shell"]
    assert named == ["/etc/profile:3"]
    assert [one.split()[0] for one in resource.plan(ctx).refusals] == ["/etc/profile:3"]


def _defs() -> Any:
    from host.facts.login_defs import LOGIN_DEFS

    return LOGIN_DEFS


def quality(directory: Path, texts: dict[str, str], *, dictionary: bool, stack: str) -> Context:
    return context(
        directory,
        packages=packages("libpam-pwquality", "cracklib-runtime"),
        dpkg_busy="",
        pwquality=Pwquality(texts, dictionary),
        pam_files={f"{PLACE}/common-password": stack},
    )


def test_the_policy_stands_in_the_file_that_is_read_last(tmp_path: Path) -> None:
    body = {"settings": {"minlen": {"at-least": 15}, "enforce_for_root": {"is": "yes"}},
            "classes": {"dcredit": {"at-most": -1}}, "packages": ["libpam-pwquality"]}  # fmt: skip
    resource = PasswordQuality.parse("a.b", body)
    main, part = (f"/etc/security/pwquality.{name}" for name in ("conf", "conf.d/10-site.conf"))
    stack = "password requisite pam_pwquality.so retry=3\n"
    texts = {part: "minlen = 6\nenforce_for_root\n", main: "# x\nminlen = 9\n# y"}
    ctx = quality(tmp_path, texts, dictionary=True, stack=stack)
    new = written(resource.plan(ctx).changes)
    assert new == {
        main: "# x\nminlen = 15\n# y\n# Written by harden-tui for the step a.b.\ndcredit = -1\n"
    }
    after = quality(tmp_path / "b", {**texts, **new}, dictionary=True, stack=stack)
    assert all(f.ok for f in resource.observe(after))
    assert resource.plan(after).changes == ()
    weaker = quality(tmp_path / "c", {main: ""}, dictionary=True, stack=f"{stack[:-1]} minlen=6\n")
    assert "minlen=6" in resource.plan(weaker).refusals[0]


def test_kinds_of_signs_are_asked_for_unless_any_will_do(tmp_path: Path) -> None:
    body = {"settings": {"minlen": 15}, "classes": {"minclass": {"at-least": 4}},
            "packages": ["libpam-pwquality"]}  # fmt: skip
    assert set(PasswordQuality.parse("a.b", body).wanted) == {"minlen", "minclass"}
    assert set(PasswordQuality.parse("a.b", {**body, "signs": "any"}).wanted) == {"minlen"}


def test_without_a_dictionary_no_word_is_looked_up(tmp_path: Path) -> None:
    stack = "password requisite pam_pwquality.so\n"
    for names, wanted in ((["libpam-pwquality"], "0"),
                          (["libpam-pwquality", "cracklib-runtime"], "1")):  # fmt: skip
        resource = PasswordQuality.parse("a.b", {"settings": {"dictcheck": 1}, "packages": names})
        ctx = quality(tmp_path / wanted, {}, dictionary=False, stack=stack)
        finding = resource.observe(ctx)[-1]
        assert (finding.setting, finding.expected) == ("dictcheck", wanted)


def sudo(directory: Path, *lines: str, **files: str) -> Context:
    found = [
        one for number, line in enumerate(lines) for one in parse_defaults(line, f"/s:{number}")
    ]
    ctx = context(directory, packages=packages("sudo"),
                  sudo_defaults=SudoDefaults({"use_pty": ""}, tuple(found)))  # fmt: skip
    ctx.host.put("/etc/sudoers.d", FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/etc/sudoers", files.get("main", "@includedir /etc/sudoers.d\n").encode())
    return ctx


SUDO = SudoSettings.parse("accounts.sudo-log", {"use_pty": True, "logfile": "/var/log/sudo.log"})


def test_sudos_log_goes_into_a_file_that_is_read_last(tmp_path: Path) -> None:
    planned = SUDO.plan(sudo(tmp_path, "Defaults use_pty"))
    assert planned.refusals == ()
    path, text = next(iter(written(planned.changes).items()))
    assert "." not in path.rpartition("/")[2]
    assert 'Defaults logfile="/var/log/sudo.log"\n' in text
    assert "logrotate" in planned.notes[0]


def test_what_would_not_decide_about_sudo_is_refused(tmp_path: Path) -> None:
    unread = SUDO.plan(sudo(tmp_path / "a", main="# nothing\n"))
    assert "does not read /etc/sudoers.d" in unread.refusals[0]
    after = "@includedir /etc/sudoers.d\nDefaults logfile=/x\n"
    later = SUDO.plan(sudo(tmp_path / "b", main=after))
    assert "/etc/sudoers:2 comes after it" in later.refusals[0]
    bound = SUDO.plan(sudo(tmp_path / "c", "Defaults:bob !use_pty"))
    assert "for :bob" in bound.refusals[0]


def test_a_password_that_would_have_run_out_already_is_not_aged(tmp_path: Path) -> None:
    ctx = context(tmp_path, local_accounts=local(), login_defs=DEFS, useradd_inactive=(45, "f:1"))
    body = {"who": "everyone", "maximum-days": 30}
    planned = PasswordAgeing.parse("x", body).plan(ctx)
    assert "alice" in planned.refusals[0]
    assert not any("root" in command for command in commands(planned.changes))
    assert PasswordAgeing.parse("x", {**body, "who": "new"}).plan(ctx).changes == ()


def admin(
    directory: Path, given: dict[str, Any] | None = None, **body: str
) -> tuple[Administrator, Context]:
    accounts = parse_accounts(PASSWD, GROUP, SHADOW.format(git="!", alice="$y$j9T$a$b"))
    numbers: dict[str, Any] = {
        "user_numbers": {"alice": 1000},
        "group_numbers": {"alice": 1000, "x": 1001},
    }
    answers = {"accounts": accounts, "login_defs": DEFS, "sshd_effective": {}, **numbers}
    ctx = context(directory, **answers, **(given or {}))
    return Administrator.parse("x", body), ctx


def test_an_administrator_is_made_and_the_password_is_shown_nowhere(tmp_path: Path) -> None:
    resource, ctx = admin(tmp_path, name="anna", key=KEY, password=SECRET)
    planned = resource.plan(ctx)
    assert planned.refusals == ()
    assert "--uid 1002" in commands(planned.changes)[0]
    assert written(planned.changes) == {"/home/anna/.ssh/authorized_keys": f"{KEY}\n"}
    given = [one for one in planned.changes if isinstance(one, RunCommand) and one.stdin]
    assert [(one.argv, one.stdin) for one in given] == [
        (("chpasswd",), f"anna:{SECRET}\n".encode())
    ]
    for change in planned.changes:
        shown = [describe(change), str(render(change, ctx.host, Redactor()))]
        assert not any(SECRET in text for text in shown)


def test_the_fingerprint_tells_nothing_of_a_password(tmp_path: Path) -> None:
    prints = set()
    for password in (SECRET, "another-one-altogether"):
        resource, ctx = admin(tmp_path / password, name="anna", key=KEY, password=password)
        prints.add(fingerprint(Work(changes=resource.plan(ctx).changes), ctx.host))
    assert len(prints) == 1


def test_what_is_missing_for_an_administrator_is_said(tmp_path: Path) -> None:
    resource, ctx = admin(tmp_path / "a", name="anna")
    assert ["public key" in one or "password" in one for one in resource.plan(ctx).refusals] == [
        True,
        True,
    ]
    nobody, ctx = admin(tmp_path / "b")
    assert "Say who it shall be" in nobody.plan(ctx).refusals[0]
    service, ctx = admin(tmp_path / "c", name="git", key=KEY, password=SECRET)
    assert "no account of a person" in service.plan(ctx).refusals[0]


def test_a_password_that_pam_would_refuse_is_refused_before(tmp_path: Path) -> None:
    quality = Pwquality({"/etc/security/pwquality.conf": "minlen = 19\n"})
    given = {"packages": packages("libpam-pwquality"), "pwquality": quality}
    resource, ctx = admin(tmp_path, given, name="anna", key=KEY, password=SECRET)
    refusal = resource.plan(ctx).refusals[0]
    assert "the 19 characters that /etc/security/pwquality.conf:1 asks for" in refusal
    assert SECRET not in refusal
    longer, ctx = admin(tmp_path / "b", given, name="anna", key=KEY, password=f"{SECRET}x")
    assert longer.plan(ctx).refusals == ()
    digit = {**given, "pwquality": Pwquality({"/etc/security/pwquality.conf": "dcredit = -1\n"})}
    without, ctx = admin(tmp_path / "c", digit, name="anna", key=KEY, password=SECRET)
    assert "too few of the digits" in without.plan(ctx).refusals[0]
    having, ctx = admin(tmp_path / "d", digit, name="anna", key=KEY, password=f"{SECRET}7")
    assert having.plan(ctx).refusals == ()


def test_any_administrator_who_is_there_will_do(tmp_path: Path) -> None:
    resource, ctx = admin(tmp_path)
    assert [f.ok for f in resource.observe(ctx)] == [False]
    for directory in ("/home/alice", "/home/alice/.ssh"):
        ctx.host.put(directory, FileState(kind="dir", mode=0o700, uid=1000, gid=1000))
    private = FileState(kind="file", mode=0o600, uid=1000, gid=1000)
    ctx.host.put("/home/alice/.ssh/authorized_keys", private, f"{KEY}\n".encode())
    assert [(f.ok, f.running) for f in resource.observe(ctx)] == [(True, "alice")]
    assert resource.plan(ctx).changes == ()


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (KEY, ""),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("hello", "one public key"),
        (f'command="x" {KEY}', "without options"),
        ("ssh-dss AAAAB3NzaC1kc3MAAAAB", "too weak"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "too weak"),
    ],
)
def test_only_a_public_key_that_is_strong_is_taken(key: str, problem: str) -> None:
    assert problem in key_problem(key)
    assert bool(problem) == bool(key_problem(key))
    if problem:
        with pytest.raises(StepError, match="key:"):
            Administrator.parse("x", {"name": "anna", "key": key})


def test_what_is_optional_may_be_left_empty(tmp_path: Path) -> None:
    secret = Parameter(kind="secret", help="h", optional=True)
    assert problem_of(secret) == ""
    assert convert("s", "p", secret, "") == ""
    assert problem_of(Parameter(kind="integer", help="h", optional=True))
    with pytest.raises(StepError):
        convert("s", "p", msgspec.structs.replace(secret, optional=False), "")
    step = built_in()[0]["accounts.admin-user"]
    values, missing = resolve(step, {}, context(tmp_path))
    assert values == {"name": "", "key": "", "password": ""}
    assert missing == []


def test_no_hash_of_a_password_is_shown_in_a_difference() -> None:
    contents = {"a": b"joe:$y$j9T$aaaaaaaaaa$bbbbbbbbbbb:1:\n", "b": b"joe:$6$cccccccccc$ddd:2:\n"}
    before, after = (FileItem(FileState(kind="file", sha256=one, size_bytes=9)) for one in "ab")
    shown = between("/etc/shadow", before, after, contents.__getitem__)
    assert "-joe:••••••:1:" in shown
    assert "+joe:••••••:2:" in shown
    assert side_text(before, contents.__getitem__) == "joe:••••••:1:\n"
