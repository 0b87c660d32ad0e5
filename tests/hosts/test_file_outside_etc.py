"""A site's step writes a file outside /etc: what somebody had there comes back, byte for byte."""

from __future__ import annotations

import subprocess

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history, roll_back

pytestmark = pytest.mark.either_release

TOOL = "/usr/local/bin/tool"
NEW = "/opt/acme/conf.d/new.conf"
ROOTS = ("/usr/local", "/opt", "/srv", "/var/lib/foo")

STEP = """\
- id: site.{name}
  stage: post-install
  title: A file of the site
  why: A test.
  breaks: Nothing.
  source: this test
  ensure:
    - file: {{path: {path}, content: "one\\ntwo\\nthree\\n", mode: "0755"}}
"""
STEPS = {"own": TOOL, "new": NEW, "beside": "/var/lib/foo/r.conf", "linked": "/srv/link/a/x"}

BEFORE = r"""
set -e
mkdir -p /opt /var/lib/foo /srv/real
ln -s real /srv/link
printf 'mine\0\377\n' > /usr/local/bin/tool
chown www-data:adm /usr/local/bin/tool
chmod 2751 /usr/local/bin/tool
"""


def _furnish(host: LabHost) -> None:
    host.run("sh", "-c", BEFORE)
    text = "".join(STEP.format(name=name, path=path) for name, path in STEPS.items())
    host.write("/etc/harden-tui/steps.d/site.yaml", text)


def _told(host: LabHost) -> str:
    return harden(host, "history", "show", history(host)[-1]["id"]).stdout


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_what_was_there_comes_back(host: LabHost) -> None:
    _furnish(host)
    first = fingerprint(host, *ROOTS)
    stat = ("stat", "-c", "%a %U %G %s", TOOL)
    mine = (host.out("sha256sum", TOOL), host.out(*stat))
    for name in ("own", "new", "beside"):
        apply(host, f"site.{name}")
        path = STEPS[name]
        assert host.run("cat", path).stdout == "one\ntwo\nthree\n"
        assert f"files: {path}" in _told(host) or f"    {path}: absent -> file" in _told(host)
    for name in ("own", "beside", "new"):
        roll_back(host, f"site.{name}")
    assert differences(first, fingerprint(host, *ROOTS)) == []
    assert (host.out("sha256sum", TOOL), host.out(*stat)) == mine
    assert host.run("test", "-e", "/opt/acme", check=False).returncode != 0


def test_what_somebody_made_of_it_since_is_drift_and_is_asked_about(host: LabHost) -> None:
    _furnish(host)
    apply(host, "site.own")
    apply(host, "site.new")
    host.run("sh", "-c", f"echo four >> {NEW}; sed -i s/two/TWO/ {TOOL}; echo x > /opt/acme/mine")
    checked = _said(harden(host, "check", "site.own", "site.new", check=False))
    assert f"edited {TOOL}" in checked and f"edited {NEW}" in checked
    refused = harden(host, "rollback", "site.own", "--yes", check=False)
    assert refused.returncode == 3
    assert TOOL in _said(refused)
    assert host.out("sed", "-n", "2p", TOOL) == "TWO"
    harden(host, "rollback", "site.own", f"--restore={TOOL}", "--yes")
    assert host.out("head", "-c", "4", TOOL) == "mine"
    roll_back(host, "site.new")
    assert host.out("cat", NEW) == "four"
    assert host.out("cat", "/opt/acme/mine") == "x"


def test_nothing_is_written_through_a_link(host: LabHost) -> None:
    _furnish(host)
    first = fingerprint(host, *ROOTS)
    refused = harden(host, "apply", "site.linked", "--yes", check=False)
    assert refused.returncode != 0
    assert "Name the file where it lies: /srv/real/a/x." in _said(refused)
    assert differences(first, fingerprint(host, *ROOTS)) == []
