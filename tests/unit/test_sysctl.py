"""Kernel parameters: systemd's order of files, ufw's habit, and what is written where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pytest

from host.base import Session
from host.facts import Fact, Facts
from host.facts.sysctl import (
    Boot,
    Parameter,
    dotted,
    parse_assignments,
    parse_read_only,
    path_of,
    read_boot,
    read_order,
    winner,
)
from host.local import LocalHost
from snapshots.model import RunCommand, WriteFile
from steps.resource import Context, StepError
from steps.resources.sysctl import Sysctl

T = TypeVar("T")

RECORDED = Path(__file__).parent / "recorded"
OURS = "/etc/sysctl.d/99-zz-harden-tui-kernel-sysctl.conf"
MARTIANS = "net.ipv4.conf.all.log_martians"


class Given(Facts):
    """Facts whose answers are given; whatever else is asked fails the test."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(LocalHost())
        self.answers = answers

    def get(self, fact: Fact[T]) -> T:
        for name, answer in self.answers.items():
            if fact.name == name or fact.name.startswith(f"{name} "):
                return answer  # type: ignore[no-any-return]
        raise AssertionError(f"{fact} was not expected to be asked")


def files_of(cat_config: str) -> dict[str, str]:
    """`systemd-analyze cat-config sysctl.d` as the files it shows, in its order."""
    files: dict[str, str] = {}
    path = ""
    for line in cat_config.splitlines(keepends=True):
        if line.startswith("# /") and line.rstrip().endswith(".conf"):
            path = line[2:].strip()
            files[path] = ""
        elif path:
            files[path] += line
    return files


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_order_of_files_is_systemd_s(suite: str) -> None:
    shown = files_of((RECORDED / suite / "sysctl/cat-config.txt").read_text())
    listed: dict[str, list[str]] = {}
    for path in shown:
        folder, _, name = path.rpartition("/")
        listed.setdefault(folder, []).append(name)
    assert read_order(listed) == list(shown)


def test_the_same_name_in_etc_hides_the_one_of_the_package() -> None:
    listed = {"/etc/sysctl.d": ["50-a.conf"], "/usr/lib/sysctl.d": ["50-a.conf", "10-b.conf", "x"]}
    assert read_order(listed) == ["/usr/lib/sysctl.d/10-b.conf", "/etc/sysctl.d/50-a.conf"]


def test_lines() -> None:
    text = "# c\n; c\nnet.ipv4.ip_forward=1\n-net/ipv4/conf/eth0.5/rp_filter =  2 \n-a.b\nrubbish\n"
    assert [(a.line, a.key, a.value) for a in parse_assignments("f", text)] == [
        (3, "net.ipv4.ip_forward", "1"),
        (4, "net.ipv4.conf.eth0/5.rp_filter", "2"),
        (5, "a.b", None),
    ]


def test_keys_with_a_dot_inside() -> None:
    assert dotted("net/ipv4/conf/eth0.5/x") == "net.ipv4.conf.eth0/5.x"
    assert path_of("net.ipv4.conf.eth0/5.x") == "/proc/sys/net/ipv4/conf/eth0.5/x"


def test_a_named_key_beats_every_pattern() -> None:
    lines = parse_assignments(
        "f",
        "net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.*.rp_filter = 2\n"
        "-net.ipv4.conf.lo.rp_filter\n",
    )

    def value(interface: str) -> str | None:
        found = winner(lines, f"net.ipv4.conf.{interface}.rp_filter")
        return found.value if found else None

    assert (value("all"), value("eth0"), value("lo")) == ("1", "2", None)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_what_is_read_only_in_a_container(suite: str) -> None:
    mounts = dict(parse_read_only((RECORDED / suite / "sysctl/mountinfo.txt").read_text()))
    assert (mounts["/proc/sys"], mounts["/proc/sys/net"]) == (True, False)


def boot_of(**texts: str) -> Boot:
    """A boot from the given files: `ufw`, `own` (our drop-in), `other` (a file of Debian)."""
    paths = {
        "other": "/usr/lib/sysctl.d/50-default.conf",
        "own": OURS,
        "later": "/etc/sysctl.d/zz.conf",
    }
    assignments = [
        a for name, path in paths.items() for a in parse_assignments(path, texts.get(name, ""))
    ]
    ufw = parse_assignments("/etc/ufw/sysctl.conf", texts.get("ufw", ""))
    named = {paths[name]: text for name, text in texts.items() if name in paths}
    return Boot(
        tuple(assignments), tuple(ufw), (), {**named, "/etc/ufw/sysctl.conf": texts.get("ufw", "")}
    )


def context(boot: Boot, values: dict[str, Parameter], interfaces: tuple[str, ...] = ()) -> Context:
    facts = Given({"sysctl-boot": boot, "sysctl": values, "interfaces": interfaces, "packages": {}})
    return Context(facts.host, facts, Session())


def test_a_value_that_no_file_sets_is_not_called_good() -> None:
    ctx = context(boot_of(), {MARTIANS: Parameter("1")})
    (finding,) = Sysctl.parse("kernel.sysctl", {MARTIANS: 1}).observe(ctx)
    assert (finding.ok, finding.running, finding.persistent) == (False, "1", "")


def test_a_line_in_a_file_that_nothing_reads_at_boot_is_not_called_good() -> None:
    """trixie's systemd does not read /etc/sysctl.conf, though `sysctl --system` does."""
    lines = parse_assignments("/etc/sysctl.conf", f"{MARTIANS} = 1\n")
    ctx = context(Boot((), (), tuple(lines)), {MARTIANS: Parameter("1")})
    (finding,) = Sysctl.parse("kernel.sysctl", {MARTIANS: 1}).observe(ctx)
    assert finding.ok is False
    assert finding.note == "/etc/sysctl.conf:1 sets it, but nothing reads that file at boot here"


def test_ufw_has_the_last_word() -> None:
    boot = boot_of(own=f"{MARTIANS} = 1\n", ufw="net/ipv4/conf/all/log_martians=0\n")
    ctx = context(boot, {MARTIANS: Parameter("1")})
    resource = Sysctl.parse("kernel.sysctl", {MARTIANS: 1})
    (finding,) = resource.observe(ctx)
    assert (finding.ok, finding.origin) == (False, "/etc/ufw/sysctl.conf:1")
    ufw = boot_of(own=f"{MARTIANS} = 1\n", ufw="net/ipv4/conf/all/log_martians=1\n")
    assert resource.observe(context(ufw, {MARTIANS: Parameter("1")}))[0].ok is True


def test_a_read_only_key_is_neither_counted_nor_set() -> None:
    ctx = context(boot_of(), {"kernel.sysrq": Parameter("1", writable=False)})
    resource = Sysctl.parse("kernel.sysctl", {"kernel.sysrq": 0})
    (finding,) = resource.observe(ctx)
    assert not finding.applicable and "container" in finding.note
    assert resource.plan(ctx).changes == ()


def test_a_key_the_kernel_does_not_have() -> None:
    ctx = context(boot_of(), {"kernel.yama.ptrace_scope": Parameter(None, False)})
    (finding,) = Sysctl.parse("k.s", {"kernel.yama.ptrace_scope": 1}).observe(ctx)
    assert not finding.applicable and "no such parameter" in finding.note


def test_forwarding_that_docker_uses_is_left_alone() -> None:
    key = "net.ipv4.ip_forward"
    ctx = context(boot_of(), {key: Parameter("1")}, ("docker0", "eth0", "lo"))
    resource = Sysctl.parse("kernel.sysctl", {key: 0})
    (finding,) = resource.observe(ctx)
    assert not finding.applicable and "docker0" in finding.note
    planned = resource.plan(ctx)
    assert planned.changes == ()


def test_only_what_differs_is_set_and_a_good_value_is_kept() -> None:
    """rp_filter 2 satisfies, so it is written for the boot as 2, not as the target."""
    keys = ("net.ipv4.conf.all.rp_filter", "net.ipv4.tcp_rfc1337")
    values = {keys[0]: Parameter("2"), keys[1]: Parameter("0")}
    resource = Sysctl.parse(
        "kernel.sysctl", {keys[0]: {"at-least": 1, "set": 1}, keys[1]: {"is": 1}}
    )
    write, command = resource.plan(context(boot_of(), values)).changes
    assert isinstance(write, WriteFile) and write.path == OURS
    assert write.content.decode().splitlines()[-2:] == [
        "net.ipv4.conf.all.rp_filter = 2",
        "net.ipv4.tcp_rfc1337 = 1",
    ]
    assert isinstance(command, RunCommand)
    assert command.argv == ("sysctl", "-w", "net.ipv4.tcp_rfc1337=1")


def test_an_interface_with_a_value_of_its_own_is_seen_and_set() -> None:
    key = "net.ipv4.conf.all.send_redirects"
    own = "net.ipv4.conf.eth0/5.send_redirects"
    boot = boot_of(own=f"{key} = 0\n")
    ctx = context(boot, {key: Parameter("0"), own: Parameter("1")}, ("eth0.5", "lo"))
    resource = Sysctl.parse("kernel.sysctl", {key: 0})
    assert [(f.setting, f.ok) for f in resource.observe(ctx)] == [(key, True), (own, False)]
    (command,) = resource.plan(ctx).changes
    assert isinstance(command, RunCommand)
    assert command.argv == ("sysctl", "-w", "net/ipv4/conf/eth0.5/send_redirects=0")


def test_ipv6_of_an_interface_that_was_there_before_needs_a_line_at_boot() -> None:
    """conf.all and conf.default do not reach it; measured after a restart on trixie."""
    key, own = "net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.eth0.accept_redirects"
    values = {key: Parameter("0"), own: Parameter("0")}
    resource = Sysctl.parse("kernel.sysctl", {key: 0})
    ctx = context(boot_of(own=f"{key} = 0\n"), values, ("eth0", "lo"))
    assert [(f.setting, f.ok) for f in resource.observe(ctx)] == [(key, True), (own, False)]
    (write,) = resource.plan(ctx).changes
    assert isinstance(write, WriteFile)
    lines = f"{key} = 0\nnet.ipv6.conf.*.accept_redirects = 0\n"
    assert write.content.decode().endswith(lines)
    ctx = context(boot_of(own=lines), values, ("eth0", "lo"))
    assert [f.ok for f in resource.observe(ctx)] == [True]
    assert resource.plan(ctx).changes == ()


def test_a_line_that_names_the_interface_has_the_last_word() -> None:
    key, own = "net.ipv4.conf.all.send_redirects", "net.ipv4.conf.eth0.send_redirects"
    boot = boot_of(own=f"{key} = 0\n", other=f"{own} = 1\n")
    ctx = context(boot, {key: Parameter("0"), own: Parameter("0")}, ("eth0", "lo"))
    good, wrong = Sysctl.parse("kernel.sysctl", {key: 0}).observe(ctx)
    assert (good.setting, good.ok) == (key, True)
    assert (wrong.setting, wrong.ok, wrong.persistent) == (own, False, "1")
    assert wrong.origin == "/usr/lib/sysctl.d/50-default.conf:1"


@pytest.mark.parametrize(
    "body",
    [{}, {"kernel.modules_disabled": 1}, {"kernel/modules_disabled": 1}, {"x": 1}, {"a.b; c": 1}],
)
def test_bad_and_dangerous_keys_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(StepError):
        Sysctl.parse("kernel.sysctl", body)


def test_a_file_that_is_not_there_yet_takes_part() -> None:
    boot = read_boot(LocalHost(), {OURS: "kernel.sysrq = 0\n"})
    found = winner(boot.assignments, "kernel.sysrq")
    assert found is not None and found.origin == f"{OURS}:1"
