"""How long a PHP is mended: dated tables, and no claim beyond them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from host.distribution import Distribution
from host.facts.packages import Package
from host.facts.php import WebPhp
from host.facts.php_ini import Ini
from host.facts.php_support import AS_OF, support_of
from steps.model import Finding
from steps.resource import Context
from steps.resources.php_support import OUR_KNOWLEDGE_LASTS, PhpSupport
from tests.unit.given import context

DEBIANS = "8.2.32-1~deb12u1"
SURYS = "8.2.28-1+0~20250313.77+debian12~1.gbp6bd8b1"


def ask(directory: Path, branch: str, version: str, sapi: Any = "apache2") -> Context:
    name = f"libapache2-mod-php{branch}" if sapi == "apache2" else f"php{branch}-fpm"
    php = WebPhp(branch, sapi, "apache2.service", Ini(f"{branch}.1", {}, ()), {}, (), True, "")
    return context(
        directory,
        web_php=(php,),
        distribution=Distribution("debian", "Debian 12", "12", "bookworm"),
        packages={name: Package(name, version, "amd64", "install", "installed")},
    )


def finding(directory: Path, branch: str, version: str, today: date, **more: Any) -> Finding:
    (found,) = PhpSupport(30, today).observe(ask(directory, branch, version, **more))
    return found


def test_debian_goes_on_after_the_php_project(tmp_path: Path) -> None:
    found = finding(tmp_path, "8.2", DEBIANS, date(2027, 6, 1))
    assert found.ok and found.running == f"{DEBIANS}, until 2028-06-30 by Debian 12 LTS"
    assert found.origin == "package libapache2-mod-php8.2"


@pytest.mark.parametrize("sapi", ["apache2", "fpm"])
def test_but_not_for_a_package_of_somebody_else(tmp_path: Path, sapi: str) -> None:
    found = finding(tmp_path, "8.2", SURYS, date(2026, 12, 15), sapi=sapi)
    assert found.ok is False and "2026-12-31 by the PHP project" in found.running
    assert finding(tmp_path, "8.2", SURYS, date(2026, 11, 30), sapi=sapi).ok


def test_an_old_branch_fails_and_is_left_to_a_person(tmp_path: Path) -> None:
    ctx = ask(tmp_path, "7.4", SURYS)
    resource = PhpSupport(30, AS_OF)
    assert [f.ok for f in resource.observe(ctx)] == [False]
    (refusal,) = resource.plan(ctx).refusals
    assert "PHP 7.4" in refusal and "Nothing was changed" in refusal


def test_nothing_is_claimed_of_what_the_table_does_not_know(tmp_path: Path) -> None:
    found = finding(tmp_path, "9.0", "9.0.1-1", AS_OF)
    assert found.ok is None and AS_OF.isoformat() in found.note and "9.0" in found.note
    assert support_of("9.0", "duke", is_distributions_own=True).until is None


def test_nor_by_a_table_that_is_too_old(tmp_path: Path) -> None:
    later = AS_OF + OUR_KNOWLEDGE_LASTS + timedelta(days=1)
    found = finding(tmp_path, "8.4", "8.4.1-1", later - timedelta(days=2))
    assert found.ok
    found = finding(tmp_path, "8.4", "8.4.1-1", later)
    assert found.ok is None and "too old" in found.note
    # What had ended by then has not come back.
    assert finding(tmp_path, "8.1", "8.1.1-1", later).ok is False
