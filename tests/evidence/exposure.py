"""`systemd-analyze security`: how exposed each running service is, 0 to 10."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.hosts.lab import LabHost


def judge(host: LabHost) -> dict[str, float]:
    return parsed(host.out("systemd-analyze", "security", "--json=short", "--no-pager"))


def parsed(text: str) -> dict[str, float]:
    """Unit -> exposure. Raises `AssertionError` for anything but a list of units."""
    try:
        return {str(row["unit"]): float(row["exposure"]) for row in json.loads(text)}
    except (ValueError, KeyError, TypeError) as error:
        raise AssertionError(f"systemd-analyze listed no units: {text[:200]}") from error


def worse(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Units that are more exposed than they were; one that was not there before is no such one."""
    return sorted(unit for unit in before.keys() & after.keys() if after[unit] > before[unit])
