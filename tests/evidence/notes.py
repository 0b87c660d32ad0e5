"""The words of the page that do not change."""

from __future__ import annotations

INTRODUCTION = """\
# Evidence: what independent judges say

Written by `make evidence`, never by hand. A fresh Debian host with Apache, PHP, MariaDB and CUPS is
asked by programs that know nothing of harden-tui. Then every step of the stage `pre-install` on the
checklist `lamp` is applied with its default values, over SSH, as an administrator would, who
confirms what is guarded by a new login; the host is restarted, and they are asked again. The
command fails where a goal is missed. What a judge still wishes stands here with the reason why it
stays, or as open.
"""

FOREIGN_CONTENT = (
    "there is none for this release in Debian; that for Debian 12 is asked, without the sentence"
    " that makes all of it inapplicable elsewhere"
)

NOTES = """\
## How

- **Lynis**: `lynis audit system --quick` of the release itself. Its hardening index counts points,
  which not every suggestion has; the points that are missing have a table of their own.
- **OpenSCAP**: `oscap xccdf eval` of the release itself, with profile ANSSI-BP-028 (enhanced) of
  the SCAP Security Guide for Debian 12, which only trixie's package has. What it calls inapplicable
  is not counted.
- **ssh-audit**: the newest, with its policy for the release, which compares every list exactly. It
  asks from inside, so that neither sshd nor fail2ban takes an administrator's address for a
  scanner's.
- **systemd-analyze security**: every unit it lists. A unit that came with a step is no unit that
  became worse.
- **Check**: `harden-tui check` of all steps of the catalogue, started as root inside; the median of
  five after a first one, and the largest resident set of any of its processes.
- The judges are installed before the first measurement, and the host is restarted before both.
- The hosts are containers: their kernel is that of the machine below. Kernel parameters outside of
  `net.` cannot be set in them, and OpenSCAP calls everything about a kernel inapplicable.
- The reasons why something stays are sentences of `tests/evidence/deviations.yaml`; everything
  without such a sentence is called open.
"""
