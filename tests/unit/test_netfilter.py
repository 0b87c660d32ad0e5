"""Netlink messages for nf_tables: as the kernel's headers say, and against a real kernel."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from host import netfilter
from host.base import HostError

ROOT = Path(__file__).resolve().parents[2]

# Recorded on Linux 6.18: the answer to NFT_MSG_GETTABLE where "ip filter" has one chain, and the
# NLMSG_DONE that ends the listing.
TABLE_ANSWER = bytes.fromhex(
    "3c000000000a020001000000ad710000020000030b00010066696c7465720000"
    "08000300000000010c00040000000000000000010800020000000000"
)
DONE = bytes.fromhex("140000000300020001000000ad71000000000000")


def test_a_recorded_answer_is_read() -> None:
    message, done = netfilter.messages(TABLE_ANSWER + DONE)
    assert message.kind == netfilter.NFNL_SUBSYS_NFTABLES << 8
    assert netfilter.FAMILIES[message.body[0]] == "ip"
    found = netfilter.attributes(message.body)
    assert found[netfilter.NFTA_TABLE_NAME] == b"filter\0"
    assert struct.unpack("!I", found[3]) == (1,)
    assert done.kind == netfilter.NLMSG_DONE


@pytest.mark.parametrize("cut", [0, 3, 15, 17, 24, 40])
def test_a_cut_answer_is_no_endless_loop(cut: int) -> None:
    for message in netfilter.messages(TABLE_ANSWER[:cut]):
        netfilter.attributes(message.body)
    assert list(netfilter.messages(b"\0" * 64)) == []
    assert netfilter.attributes(b"\2\0\0\2" + b"\0" * 16) == {}


def test_an_unknown_family_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(HostError, match="`ipx` is no family"):
        netfilter.delete_table("ipx", "filter")


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_against_the_kernel_in_a_network_of_its_own() -> None:
    """Create a table by netlink, see it, delete it; in a namespace, never on this machine."""
    inside = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", INSIDE, os.readlink("/proc/self/ns/net")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if "Operation not permitted" in inside.stderr and "unshare" in inside.stderr:
        pytest.skip("this machine allows no network namespaces")
    assert inside.returncode == 0, inside.stderr
    assert inside.stdout == "seen and gone\n"


INSIDE = """
import os, sys
from host import netfilter as n
from host.base import FirewallTable
assert os.readlink('/proc/self/ns/net') != sys.argv[1]
assert n.tables() == ()
def create(kind, number, body):
    batch = (n._message(n.NFNL_MSG_BATCH_BEGIN, 1, 1, 0, resource=10)
        + n._message(10 << 8 | kind, 0x1 | 0x4 | 0x400, 2, number, body)
        + n._message(n.NFNL_MSG_BATCH_END, 1, 3, 0, resource=10))
    with n._socket() as sock:
        sock.send(batch)
        for message in n.messages(sock.recv(65536)):
            n._raise_error(message)
for number, name in ((2, b'filter'), (10, b'filter'), (1, b'site')):
    create(0, number, n._attribute(1, name + b'\\0'))
create(3, 1, n._attribute(1, b'site\\0') + n._attribute(3, b'later\\0'))
assert n.tables() == (
    FirewallTable('inet', 'site', ('later',), False),
    FirewallTable('ip', 'filter', (), True),
    FirewallTable('ip6', 'filter', (), True),
), n.tables()
n.delete_table('inet', 'site')
n.delete_table('ip', 'filter')
n.delete_table('ip', 'filter')
assert [(t.family, t.name) for t in n.tables()] == [('ip6', 'filter')]
n.delete_table('ip6', 'filter')
assert n.tables() == ()
print('seen and gone')
"""
