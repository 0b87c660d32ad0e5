"""Kernel settings: every sysctl, because ufw and package scripts change undeclared ones too, and
the options of some mounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from host.base import CommandMissing, Host, HostError
from snapshots.captured import is_locked
from snapshots.domains import mounts
from snapshots.domains.base import Domain, Scope
from snapshots.model import DomainName, Item, ValueItem
from snapshots.progress import Progress

SYSCTL_ALL = ("sysctl", "-a")
PASSES = 3
"""Writing one key may reset others (`ip_forward` does), so what differs is written again."""

SELF_CHANGING = re.compile(
    r"""
      kernel\.random\..*            # entropy counters and fresh UUIDs
    | kernel\.(ns_last_pid|pty\.nr|usermodehelper\..*|perf_event_max_sample_rate|perf_cpu_time.*)
    | kernel\.(tainted|sched_domain\..*|hotplug|boot_id)
    | fs\.(dentry-state|file-nr|inode-nr|inode-state|aio-nr|dquot\..*|quota\..*)
    | fs\.binfmt_misc\..*
    | fs\.nfs\..*|sunrpc\..*
    | net\.netfilter\.nf_conntrack_(count|buckets)
    | net\.ipv4\.(route\.flush|tcp_mem|udp_mem)
    | net\.ipv4\.tcp_fastopen_key   # made by the first program that asks, and a secret
    | net\.ipv[46]\.neigh\.[^.]*\.gc_.*   # never ours
    | .*\.(stat|stable_secret|mc_forwarding)
    | dev\.cdrom\..*
    | vm\.(stat_refresh|numa_stat|compact_memory|drop_caches)
    | user\..*                      # limits of this user namespace, set by nobody
    """,
    re.VERBOSE,
)


class Kernel(Domain):
    """Keys as `sysctl` prints them, values with their inner tabs; and "mount /tmp"."""

    name: ClassVar[DomainName] = "kernel"

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        try:
            # Keys that may only be written make sysctl complain and end with a status of its own.
            answer = host.run(SYSCTL_ALL, ok=None)
        except CommandMissing:
            return {}
        values: dict[str, Item] = {}
        for key, value in parse(answer.stdout):
            values[key] = ValueItem(value)
        if not values:
            raise HostError(
                "The kernel's settings could not be read: `sysctl -a` printed nothing "
                f"(exit status {answer.returncode})"
            )
        for key, options in mounts.capture(host).items():
            values[key] = ValueItem(options)
        return values

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        targets = {key: item.value for key, item in wanted.items() if isinstance(item, ValueItem)}
        of_mounts = {k: v for k, v in targets.items() if k.startswith(mounts.PREFIX)}
        mounts.restore(host, of_mounts, progress)
        targets = {k: v for k, v in targets.items() if k not in of_mounts}
        if not targets:
            return
        for _ in range(PASSES):
            now = self.capture(host, Scope())
            left = {
                key: value
                for key, value in targets.items()
                if key in now and now[key] != ValueItem(value)
            }
            if not left:
                return
            # "all" first: writing it changes "default" and the interfaces as well.
            for key in sorted(left, key=lambda key: (".all." not in key, ".default." not in key)):
                progress.command(f"sysctl -w {key}={left[key]}")
                host.run(("sysctl", "-q", "-w", f"{key}={left[key]}"), ok=None)
        now = self.capture(host, Scope())
        failed = [
            key
            for key, value in targets.items()
            if key in now and now[key] != ValueItem(value) and not is_locked(key, now[key])
        ]
        if failed:
            raise HostError(
                f"The kernel setting {failed[0]} could not be set back to {targets[failed[0]]!r}"
                + (f", nor could {len(failed) - 1} others" if len(failed) > 1 else "")
                + "; it stands at "
                + repr(getattr(now[failed[0]], "value", ""))
            )


def parse(text: str) -> list[tuple[str, str]]:
    """`sysctl -a` -> [("net.ipv4.ip_forward", "0"), …], without what changes by itself.

    A key that is printed on several lines keeps all of them.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition(" = ")
        if not equals:
            key, equals, value = line.partition(" =")
        if not equals or " " in key or SELF_CHANGING.fullmatch(key):
            continue
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return list(found.items())
