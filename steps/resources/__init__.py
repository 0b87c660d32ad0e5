"""The kinds of resources, one module each, imported when a step first names them."""

from __future__ import annotations

from importlib import import_module

from steps.resource import Resource, StepError

TABLE: dict[str, str] = {
    "accounting": "steps.resources.accounting:Accounting",
    "apache": "steps.resources.apache_directive:ApacheDirective",
    "apache-header": "steps.resources.apache_header:ApacheHeader",
    "apache-module": "steps.resources.apache_module:ApacheModule",
    "attest": "steps.resources.attest:Attest",
    "auditd": "steps.resources.auditd:Auditd",
    "egress": "steps.resources.egress:Egress",
    "fail2ban": "steps.resources.fail2ban:Fail2ban",
    "file": "steps.resources.file:File",
    "integrity": "steps.resources.integrity:Integrity",
    "ipv6": "steps.resources.ipv6:Ipv6",
    "package": "steps.resources.package:Package",
    "php": "steps.resources.php:Php",
    "sshd": "steps.resources.sshd:Sshd",
    "sysctl": "steps.resources.sysctl:Sysctl",
    "timer": "steps.resources.timer:Timer",
    "tree": "steps.resources.tree:Tree",
    "ufw": "steps.resources.ufw:Ufw",
    "unit": "steps.resources.unit:Unit",
}


def kind(name: str) -> type[Resource]:
    """The class of a kind of resource. Raises `StepError` for one that does not exist."""
    if name not in TABLE:
        raise StepError(f"there is no kind of resource {name!r} (there are: {', '.join(TABLE)})")
    module, _, attribute = TABLE[name].partition(":")
    found: type[Resource] = getattr(import_module(module), attribute)
    return found
