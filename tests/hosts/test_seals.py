"""What lies below a seal: its content can be undone while the seal stands."""

from __future__ import annotations

import pytest

from tests.hosts.beds import typo3
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import harden

pytestmark = pytest.mark.either_release

CHOSEN = ("--checklist", "typo3", "--yes")


def test_a_setting_is_undone_below_the_seal_and_the_seal_stays(host: LabHost) -> None:
    bed = typo3.install(host, 200)
    first = fingerprint(host, typo3.PATH)
    settings = host.root / bed.additional.lstrip("/")
    as_delivered = settings.read_bytes()
    for step in ("app.config-secrets", "typo3.settings", "typo3.tree"):
        harden(host, "apply", step, *CHOSEN)
    assert settings.read_bytes() != as_delivered
    for step in ("typo3.settings", "app.config-secrets"):
        harden(host, "rollback", step, *CHOSEN)
    assert settings.read_bytes() == as_delivered
    assert "i" in host.out("lsattr", bed.additional).split()[0]
    assert typo3.answers(host)
    harden(host, "rollback", "typo3.tree", *CHOSEN)
    assert differences(first, fingerprint(host, typo3.PATH)) == []
