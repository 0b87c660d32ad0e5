"""Auditing, integrity and accounting: what daemons' answers and files amount to."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.audit_netlink import AuditStatus, parse
from host.base import FileState
from host.facts.aide import (
    Checksums,
    Database,
    LastCheck,
    checksums_replaced,
    parse_checksums,
    parse_database,
    parse_log,
)
from host.facts.apt import Simulation
from host.facts.audit import Kernel, parse_loaded, parse_written, paths_in
from snapshots.model import Activation, InstallPackages, RemoveFile, RunCommand, WriteFile
from steps.catalog_load import build_resources, built_in
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.accounting import Accounting, bounding_set, enabled
from steps.resources.audit_coverage import atoms, missing
from steps.resources.audit_rules import expand
from steps.resources.auditd import LOCK_FILE, RULES_FILE, Auditd, privileged
from steps.resources.integrity import Integrity
from steps.resources.integrity_aide import rules
from steps.resources.integrity_debsums import period
from tests.unit.given import RELEASES, context, packages, recorded, unit

ON = Kernel(AuditStatus(enabled=1, pid=411, backlog_limit=8192, lost=0))
WATCH = "-w /etc/passwd -p wa"
SITE = "/etc/audit/rules.d/30-site.rules"


def anywhere(path: str) -> bool:
    return True


def auditd(**more: Any) -> Auditd:
    body = {"groups": ["identity"], "rules": {"identity": [WATCH]}, **more}
    return Auditd.parse("audit.auditd", body)


def audited(directory: Path, *, written: dict[str, str] | None = None, **changed: Any) -> Context:
    """A host on which the one rule is loaded and written."""
    ours = auditd()._content(context(directory, packages=packages("auditd")))
    answers: dict[str, Any] = {
        "packages": packages("auditd"),
        "units": {"auditd.service": unit("auditd.service")},
        "audit_kernel": ON,
        "audit_loaded": (f"{WATCH} -k identity",),
        "audit_written": parse_written({RULES_FILE: ours} if written is None else written),
        "audit_pending": False,
    }
    return context(directory, **{**answers, **changed})


def wrong(resource: Resource, ctx: Context) -> list[Finding]:
    return [f for f in resource.observe(ctx) if f.applicable and f.ok is not True]


def commands(planned: Planned) -> list[str]:
    return [" ".join(change.argv) for change in planned.changes if isinstance(change, RunCommand)]


def test_a_host_that_records_passes(tmp_path: Path) -> None:
    assert wrong(auditd(), audited(tmp_path)) == []
    assert auditd().plan(audited(tmp_path)).changes == ()


def test_where_the_kernel_keeps_no_audit_nothing_is_installed(tmp_path: Path) -> None:
    ctx = audited(tmp_path, packages={}, audit_kernel=Kernel(None, "this is a container"))
    (finding,) = auditd().observe(ctx)
    assert (finding.applicable, finding.note) == (False, "this is a container")
    assert auditd().plan(ctx).changes == ()


def test_rules_that_were_taken_out_of_the_kernel_are_loaded_again(tmp_path: Path) -> None:
    ctx = audited(tmp_path, audit_loaded=())
    assert [(f.setting, f.running, f.persistent) for f in wrong(auditd(), ctx)] == [
        ("identity", "0", "1")
    ]
    assert commands(auditd().plan(ctx)) == ["augenrules --load"]


def test_the_package_comes_first_then_the_rules(tmp_path: Path) -> None:
    ctx = audited(
        tmp_path, packages={}, units={}, dpkg_busy="",
        apt_simulation=Simulation(brings=("auditd 1",)),
    )  # fmt: skip
    planned = auditd(immutable=True).plan(ctx)
    assert [type(change).__name__ for change in planned.changes] == [
        "InstallPackages", "WriteFile", "WriteFile",
    ]  # fmt: skip
    assert planned.activations == (
        Activation("command", "auditd.service", ("augenrules", "--load")),
    )
    assert any("before the next boot" in note for note in planned.notes)


def test_locked_rules_are_not_touched(tmp_path: Path) -> None:
    locked = Kernel(AuditStatus(enabled=2, pid=411, backlog_limit=8192, lost=0))
    ctx = audited(tmp_path, audit_kernel=locked, audit_loaded=())
    assert "locked until the next boot" in auditd().plan(ctx).refusals[0]


def test_our_own_lock_goes_when_it_is_no_longer_wanted(tmp_path: Path) -> None:
    ctx = audited(tmp_path, written={LOCK_FILE: "-e 2\n"})
    changes = auditd().plan(ctx).changes
    assert RemoveFile(LOCK_FILE) in changes
    assert any(isinstance(c, WriteFile) and c.path == RULES_FILE for c in changes)


def test_a_failed_loader_is_named(tmp_path: Path) -> None:
    units = {
        "auditd.service": unit("auditd.service", active="inactive"),
        "audit-rules.service": unit("audit-rules.service", active="failed"),
    }
    found = wrong(auditd(), audited(tmp_path, units=units))
    assert [f.setting for f in found] == ["auditd.service", "audit-rules.service"]


def test_groups_that_do_not_exist_are_refused() -> None:
    with pytest.raises(StepError, match="there is no group 'identitty'"):
        auditd(groups=["identitty"])


def test_rules_for_one_machine() -> None:
    line = "-a always,exit -F arch=* -S open,openat -F exit=-EPERM"
    assert expand("access", [line], "amd64", anywhere) == [
        "-a always,exit -F arch=b64 -S open,openat -F exit=-EPERM -k access",
        "-a always,exit -F arch=b32 -S open,openat -F exit=-EPERM -k access",
    ]
    assert expand("access", [line], "arm64", anywhere) == [
        "-a always,exit -F arch=b64 -S openat -F exit=-EPERM -k access"
    ]
    there = {"/etc": True, "/etc/netplan": False, "/var/lib": True, "/var/lib/x": False}
    assert expand(
        "x", ["-w /etc/netplan/ -p wa", "-w /etc/new -p wa"], "amd64", there.__getitem__
    ) == ["-w /etc/new -p wa -k x"]


def test_the_rules_of_the_catalogue_are_complete(tmp_path: Path) -> None:
    """Each group gives rules, and each rule is one that can be compared."""
    step = built_in()[0]["audit.auditd"]
    values: dict[str, Any] = {"groups": step.parameters["groups"].default, "immutable": False}
    (resource,) = build_resources(step, values)
    assert isinstance(resource, Auditd)
    for group, lines in resource.rules.items():
        if group == "privileged":
            continue
        found = expand(group, lines, "amd64", anywhere)
        assert len(found) >= len(lines) > 0
        assert all(line.endswith(f" -k {group}") for line in found)
        assert all(atoms(line, AMD64, never) for line in found)
        assert len(set(found)) == len(found)


def test_what_the_kernel_answers() -> None:
    status = struct.pack("=8I", 0, 1, 1, 411, 0, 8192, 3, 0)
    message = struct.pack("=IHHII", 16 + len(status), 1000, 0, 1, 0) + status
    assert parse(message) == AuditStatus(enabled=1, pid=411, backlog_limit=8192, lost=3)
    # As a kernel inside a container answered.
    refused = bytes.fromhex("2400000002000001010000006705000091ffffff10000000")
    with pytest.raises(OSError, match="refused") as error:
        parse(refused)
    assert error.value.errno == errno.ECONNREFUSED


def test_rules_as_auditctl_prints_them() -> None:
    text = (
        "-w /etc/passwd -p wa -k identity\n"
        "-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time-change\n"
        "-a always,exit -F arch=b32 -S adjtimex,settimeofday -F key=time-change\n"
        "-a always,exit -S all -F path=/usr/bin/su -F perm=x\n"
    )
    assert parse_loaded(text) == tuple(text.splitlines())
    assert parse_loaded("No rules\n") == ()


def test_the_last_word_about_locking_counts() -> None:
    written = parse_written({"/a.rules": "-e 2\n", "/b.rules": "# -e 1\n-D\n-w /x -k y\n"})
    assert written.immutable == "/a.rules:1"
    assert [(line.text, line.origin) for line in written.lines] == [("-w /x -k y", "/b.rules:3")]
    assert parse_written({"/a.rules": "-e 2\n", "/b.rules": "-e 1\n"}).immutable == ""


def test_privileged_programs() -> None:
    (line,) = privileged(("/usr/bin/su", "/opt/odd name"))
    assert paths_in(line) == ("/usr/bin/su",)
    assert line.endswith(" -k privileged")


def test_every_privileged_program_has_its_rule(tmp_path: Path) -> None:
    """A file of somebody's own under the same key is not enough."""
    lending = ("/usr/bin/passwd", "/usr/bin/su")
    resource = auditd(groups=["privileged"])
    for theirs in ("-w /srv/app -p wa -k privileged", *privileged(lending[:1])):
        ctx = audited(
            tmp_path / str(len(theirs)), audit_lending=lending, audit_loaded=(theirs,),
            written={SITE: theirs},
        )  # fmt: skip
        assert [f.setting for f in wrong(resource, ctx)] == ["privileged"]
        (ours,) = [c for c in resource.plan(ctx).changes if isinstance(c, WriteFile)]
        assert all(rule in ours.content.decode() for rule in privileged(lending))


def test_rules_are_compared_not_counted(tmp_path: Path) -> None:
    """Nine rules about other files, under the key that CIS gives to the files of accounts."""
    body = {"identity": [WATCH, "-w /etc/shadow -p wa"]}
    resource = auditd(rules=body)
    rules = [f"-w /srv/app{number} -p wa -k identity" for number in range(9)]
    ctx = audited(tmp_path, audit_loaded=tuple(rules), written={SITE: "\n".join(rules)})
    (finding,) = wrong(resource, ctx)
    assert (finding.expected, finding.running, finding.persistent) == ("2 rules", "0", "0")
    assert finding.note == (
        "2 not in the kernel: -w /etc/passwd -p wa -k identity, …;"
        " 2 in no file: -w /etc/passwd -p wa -k identity, …"
    )
    (ours,) = [c for c in resource.plan(ctx).changes if isinstance(c, WriteFile)]
    assert ours.path == RULES_FILE
    theirs = ("-a exit,always -F path=/etc/passwd -F key=other -F perm=rwa", "-w /etc/shadow")
    done = audited(tmp_path / "b", audit_loaded=theirs, written={SITE: "\n".join(theirs)})
    assert wrong(resource, done) == []
    assert resource.plan(done).changes == ()
    assert resource.observe(done)[2].origin == f"{SITE}:1"


def test_a_rule_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(StepError, match="is no rule that can be compared"):
        auditd(rules={"identity": ["-w /etc/passwd -p wa -Z"]})


AMD64 = ("b64", "b32")
FOLDERS = ("/etc/pam.d", "/etc/apparmor.d", "/etc/systemd/network")


def folder(path: str) -> bool:
    return path in FOLDERS


def never(path: str) -> bool:
    return False


def lacking(wanted: str, *there: str) -> list[str]:
    return missing([wanted], there, AMD64, folder)


@pytest.mark.parametrize("release", RELEASES)
def test_the_kernels_rules_are_the_written_ones(release: str) -> None:
    """Those of the catalogue, with what `auditctl -l` answered once they were loaded."""
    written = recorded(release, "audit/catalogue.rules").splitlines()
    loaded = parse_loaded(recorded(release, "audit/catalogue-loaded.txt"))
    assert len(written) == len(loaded) == 51
    for one, other in zip(written, loaded, strict=True):
        assert atoms(one, AMD64, folder) == atoms(other, AMD64, folder) != frozenset()
    for rule in written:
        assert lacking(rule, *(other for other in loaded if other != loaded[written.index(rule)]))


@pytest.mark.parametrize("release", RELEASES)
def test_rules_in_other_words_are_known_again(release: str) -> None:
    """As CIS, STIG and people write them, with what `auditctl -l` made of them."""
    written = recorded(release, "audit/site.rules").splitlines()
    loaded = parse_loaded(recorded(release, "audit/site-loaded.txt"))
    assert len(written) == len(loaded) == 30
    # Numbers of calls are not looked up.
    assert missing(written, loaded, AMD64, folder) == [one for one in written if "-S 59" in one]
    ours = recorded(release, "audit/catalogue.rules").splitlines()
    both = set(ours) - set(missing(ours, written, AMD64, folder))
    assert both == set(ours) - set(missing(ours, loaded, AMD64, folder))
    assert {"-w /etc/passwd -p wa -k identity", "-w /etc/group -p wa -k identity"} <= both
    assert "-w /etc/shadow -p wa -k identity" not in both  # of 64 bits only
    assert "-w /etc/hosts -p wa -k system-locale" not in both  # of one call only


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("-w /etc/pam.d/ -p wa", "-a always,exit -F dir=/etc/pam.d -F perm=wa -F key=x"),
        ("-w /etc/passwd -p wa", "-w /etc/passwd -p rwxa -k x"),
        ("-a always,exit -F arch=b64 -S mount -F auid!=unset", "-a exit,always -S all"),
        ("-a always,exit -F arch=b64 -S a,b", "-a always,exit -F arch=x86_64 -S b -S a -S c"),
        ("-a always,exit -F arch=b64 -S a -F exit=-EPERM", "-A always,exit -S a -F exit=-1"),
    ],
)
def test_what_does_the_job(wanted: str, there: str) -> None:
    assert lacking(wanted, there) == []


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("-w /etc/pam.d/ -p wa", "-a always,exit -F path=/etc/pam.d -F perm=wa"),
        ("-w /etc/passwd -p wa", "-w /etc/passwd -p w"),
        ("-w /etc/passwd -p wa", "-w /etc/passwd- -p wa"),
        ("-w /etc/passwd -p wa", "-a always,exit -F arch=b64 -F path=/etc/passwd -F perm=wa"),
        ("-w /etc/passwd -p wa", "-a never,exit -F path=/etc/passwd -F perm=wa"),
        ("-w /etc/passwd -p wa", "-W /etc/passwd -p wa"),
        ("-a always,exit -F arch=b32 -S a", "-a always,exit -S a"),
        ("-a always,exit -F arch=b64 -S a", "-a always,exit -F arch!=b64 -S a"),
        ("-a always,exit -F arch=b64 -S a", "-a always,exit -F arch=b64 -S a -F auid>=1000"),
        ("-a always,exit -F arch=b64 -S a,b", "-a always,exit -F arch=b64 -S a"),
        ("-a always,exit -S a -F auid>=1000", "-a always,exit -S a -F auid>1000"),
    ],
)
def test_what_does_not(wanted: str, there: str) -> None:
    assert lacking(wanted, there) == [wanted]


CALLS = st.sets(st.sampled_from(("mount", "open", "chmod", "unlink", "execve")), min_size=1)
UNSET = ("auid!=unset", "auid!=-1", "auid!=4294967295", "loginuid!=0xffffffff")
CONDITIONS = st.sets(
    st.sampled_from((UNSET, ("auid>=1000", "auid>=0x3e8"), ("exit=-EPERM", "exit=-1"))), max_size=3
)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Two ways to write one rule."""
    calls, conditions = draw(CALLS), draw(CONDITIONS)
    arch = draw(st.sampled_from(("", "b64", "b32")))
    either_way = draw(st.booleans())

    def spelling() -> str:
        named = draw(st.permutations(sorted(calls)))
        fields = [f"-F {draw(st.sampled_from(ways))}" for ways in conditions]
        if either_way:
            fields.append(draw(st.sampled_from(("-C uid!=euid", "-C euid!=uid", "-Ceuid!=uid"))))
        fields += draw(st.sampled_from(([f"-S {','.join(named)}"], [f"-S {c}" for c in named])))
        names = {"": [""], "b64": ["b64", "x86_64"], "b32": ["b32", "i386", "i686"]}[arch]
        first = f"-F arch={draw(st.sampled_from(names))} " if arch else ""
        start = draw(st.sampled_from(("-a always,exit", "-a exit,always", "-A always,exit")))
        key = draw(st.sampled_from(("", " -k one", " -F key=two", " -ktwo")))
        return f"{start} {first}{' '.join(draw(st.permutations(fields)))}{key}"

    return spelling(), spelling()


@given(spellings())
def test_however_a_rule_is_written_it_is_the_same(rules: tuple[str, str]) -> None:
    one, other = (atoms(rule, AMD64, folder) for rule in rules)
    assert one == other != frozenset()
    assert lacking(rules[0], rules[1]) == []


@given(spellings(), spellings())
def test_a_rule_does_the_job_of_one_that_records_less(
    some: tuple[str, str], more: tuple[str, str]
) -> None:
    """Together they do what each does; and each does the other's only where it records as much."""
    one, other = some[0], more[0]
    assert missing([one, other], [some[1], more[1]], AMD64, folder) == []
    assert lacking(f"{one} -F uid=33", other) == [] or lacking(one, other)
    if not lacking(one, other) and not lacking(other, one):
        assert atoms(one, AMD64, folder) == atoms(other, AMD64, folder)


# integrity


def integrity(**more: Any) -> Integrity:
    body = {"by": ["aide"], "web-tree": "/var/www/html", "writable": ["log"], "exclude": ["/home"]}
    return Integrity.parse("audit.integrity", {**body, **more})


def test_what_aide_watches() -> None:
    text = rules("audit.integrity", "/srv/a+b/", ["log/", "up/files"], ["/home", "/"]).decode()
    assert text.splitlines()[1:] == [
        "!/home(/.*)?$",
        r"!/srv/a\+b/log(/.*)?$",
        r"!/srv/a\+b/up/files(/.*)?$",
        r"/srv/a\+b Full",
    ]


def watched(directory: Path, **changed: Any) -> Context:
    answers: dict[str, Any] = {
        "packages": packages("aide-common"),
        "units": {"dailyaidecheck.timer": unit("dailyaidecheck.timer")},
        "aide_database": Database("/var/lib/aide/aide.db", "/etc/aide/aide.conf:10", 1 << 20, 3.2),
        "aide_last": LastCheck(0, "2026-11-25 01:52:07"),
        "aide_checksums": Checksums(("sha256", "sha512"), "/etc/aide/aide.conf:41"),
        "dpkg_busy": "",
        "apt_simulation": Simulation(),
    }
    ctx = context(directory, **{**answers, **changed})
    for folder in ("/etc/aide", "/etc/aide/aide.conf.d"):
        if ctx.host.state(folder) is None:
            ctx.host.put(folder, FileState("dir", mode=0o755))
    ctx.host.write_file("/etc/aide/aide.conf.d/70_harden-tui", integrity().rules)
    return ctx


def test_a_watched_host_passes(tmp_path: Path) -> None:
    assert wrong(integrity(), watched(tmp_path)) == []
    differs = watched(tmp_path, aide_last=LastCheck(4))
    assert wrong(integrity(), differs) == []  # a difference is for a person to look at
    broke = watched(tmp_path, aide_last=LastCheck(17))
    assert [f.setting for f in wrong(integrity(), broke)] == ["last check"]


def test_the_database_is_made_only_where_there_is_none(tmp_path: Path) -> None:
    ctx = watched(tmp_path, aide_database=None)
    assert commands(integrity().plan(ctx)) == ["aideinit --yes --force"]
    other = integrity(writable=["log", "temp"]).plan(watched(tmp_path))
    assert commands(other) == []
    assert any("The database stays" in note for note in other.notes)


@pytest.mark.parametrize("release", RELEASES)
def test_the_configuration_of_the_package(release: str) -> None:
    path, line = parse_database(recorded(release, "audit/aide.conf"))
    assert path == "/var/lib/aide/aide.db"
    assert line > 0


@pytest.mark.parametrize("release", RELEASES)
def test_the_checksums_of_the_package(release: str) -> None:
    text = recorded(release, "audit/aide.conf")
    found = parse_checksums(text)
    assert found is not None
    assert found.names == ("H",)
    number = int(found.origin.rpartition(":")[2])
    assert text.split("\n")[number - 1] == "Checksums = H"
    changed = checksums_replaced(text, "Checksums = sha256+sha512")
    assert parse_checksums(changed) == Checksums(("sha256", "sha512"), found.origin)
    assert parse_checksums("Checks = H\n") is None


def test_checksums_are_changed_only_before_the_database_is_made(tmp_path: Path) -> None:
    every = Checksums(("H",), "/etc/aide/aide.conf:41")
    old = watched(tmp_path / "1", aide_checksums=every)
    assert wrong(integrity(), old) == []
    assert integrity().plan(old) == Planned()
    ctx = watched(tmp_path / "2", aide_checksums=every, aide_database=None)
    ctx.host.write_file("/etc/aide/aide.conf", b"# mine \xff\nChecksums = H\n")
    written = [c for c in integrity().plan(ctx).changes if isinstance(c, WriteFile)]
    assert [c.content for c in written] == [b"# mine \xff\nChecksums = sha256+sha512\n"]


def test_debsums_comes_first_and_once_a_week_beside_aide(tmp_path: Path) -> None:
    both = integrity(by=["aide", "debsums"])
    ctx = watched(tmp_path / "1")
    assert [f.setting for f in wrong(both, ctx)] == ["debsums"]
    install, sed = both.plan(ctx).changes
    assert isinstance(install, InstallPackages)
    assert install.packages == ("debsums",)
    assert isinstance(sed, RunCommand)
    assert "CRON_CHECK=weekly" in sed.argv[3]
    blank = watched(tmp_path / "2", packages={}, aide_database=None, units={})
    did = both.plan(blank)
    assert commands(did)[-1] == "aideinit --yes --force"
    assert did.packages == ("debsums", "aide-common")
    alone = commands(integrity(by=["debsums"]).plan(blank))
    assert len(alone) == 1
    assert "CRON_CHECK=daily" in alone[0]


def test_at_least_one_of_them(tmp_path: Path) -> None:
    with pytest.raises(StepError):
        integrity(by=[])


def test_how_the_last_check_ended() -> None:
    text = (
        "aide run on web1 started at 2026-11-25 01:52:07.\n"
        "AIDE returned with exit code 5. Added entries detected!Changed entries detected!\n"
    )
    assert parse_log(text) == LastCheck(5, "2026-11-25 01:52:07")
    assert parse_log("AIDE returned with a zero exit code.\n") == LastCheck(0)
    real = parse_log(recorded("trixie", "audit/aide.log"))
    assert real == LastCheck(7, "2026-11-25 22:22:18")
    assert parse_log("") == LastCheck(None)
    assert parse_log("* terminated by fatal error. *\n") == LastCheck(-1)


def test_how_often_debsums_checks() -> None:
    assert period("# CRON_CHECK=daily\n") == ("never", 0)
    assert period("CRON_CHECK=never\nCRON_CHECK=weekly # yes\n") == ("weekly", 2)


# accounting


def test_processes_are_not_accounted_where_it_is_forbidden(tmp_path: Path) -> None:
    why = "this container may not"
    ctx = context(
        tmp_path, packages={}, units={}, may_account=why, dpkg_busy="",
        apt_simulation=Simulation(brings=("sysstat 12",)),
    )  # fmt: skip
    planned = Accounting(("acct", "sysstat")).plan(ctx)
    assert planned.packages == ("sysstat",)
    assert any(why in note for note in planned.notes)


def test_capabilities_of_the_first_process() -> None:
    assert bounding_set("CapEff:\t0\nCapBnd:\t00000000fcecbfff\n") == 0xFCECBFFF
    assert bounding_set("") is None


def test_the_switch_of_sysstat() -> None:
    assert enabled('#ENABLED="x"\nENABLED="false"\n') == ("false", 2)
    assert enabled("") == ("", 0)


@given(st.text(), st.binary(max_size=80))
def test_no_text_breaks_a_parser(text: str, message: bytes) -> None:
    parse_loaded(text)
    atoms(text, AMD64, folder)
    atoms(f"-a always,exit {text}", AMD64, folder)
    parse_written({"/x": text})
    paths_in(text)
    parse_database(text)
    parse_log(text)
    period(text)
    enabled(text)
    bounding_set(text)
    try:
        parse(message)
    except OSError:
        return
