"""Kernel settings that stay until the next boot: told, tolerated, and only where that is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.facts.sysctl import Parameter
from snapshots import undo
from snapshots.captured import is_locked
from snapshots.model import RunCommand, ValueItem
from steps.resources.sysctl import Sysctl
from tests.unit.snapshots_host import Bench
from tests.unit.test_sysctl import boot_of, context

PTRACE = "kernel.yama.ptrace_scope"


def refusing(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """From now on the pretend kernel takes no other value for the key."""
    original = type(bench.host).run

    def run(self: object, argv: tuple[str, ...], **rest: object) -> object:
        if argv[0] == "sysctl" and argv[-1].startswith(f"{PTRACE}="):
            argv = ("sysctl", "-a")
        return original(self, argv, **rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(type(bench.host), "run", run)


def set_to(bench: Bench, value: str) -> str:
    bench.host.run(("sysctl", "-q", "-w", f"{PTRACE}=0"))
    command = RunCommand(argv=("sysctl", "-w", f"{PTRACE}={value}"), why="x")
    return bench.apply("kernel", command).id


def test_a_value_that_the_kernel_locks_is_told_and_does_not_stop_an_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    tx_id = set_to(bench, "3")
    refusing(monkeypatch, bench)
    (item,) = undo.plan_undo(bench.host, bench.state, tx_id).items
    assert item.note == "the kernel takes this back only at the next boot"
    assert bench.undo(tx_id).status == "committed"


def test_the_same_key_with_a_value_that_is_no_lock_must_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    tx_id = set_to(bench, "2")
    (item,) = undo.plan_undo(bench.host, bench.state, tx_id).items
    assert item.note == ""
    refusing(monkeypatch, bench)
    ended = bench.undo(tx_id)
    assert ended.status != "committed" and f"{PTRACE} could not be set back" in ended.reason


def test_what_locks_is_said_before_it_is_applied() -> None:
    ctx = context(boot_of(), {PTRACE: Parameter("1")})
    resource = Sysctl.parse("kernel.sysctl", {PTRACE: 3})
    assert any(note.startswith("Cannot come back") for note in resource.plan(ctx).notes)
    mild = Sysctl.parse("kernel.sysctl", {PTRACE: 2})
    assert not any(note.startswith("Cannot come back") for note in mild.plan(ctx).notes)


@pytest.mark.parametrize(
    ("key", "value", "locked"),
    [
        ("kernel.unprivileged_bpf_disabled", "1", True),
        ("kernel.unprivileged_bpf_disabled", "2", False),
        ("kernel.kexec_load_limit_panic", "-1", False),
        ("kernel.kexec_load_limit_panic", "1", True),
        ("net.ipv4.ip_forward", "1", False),
    ],
)
def test_which_values_are_locks(key: str, value: str, locked: bool) -> None:
    assert is_locked(key, ValueItem(value)) is locked
