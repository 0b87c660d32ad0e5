"""The kinds of resources, one module each, imported when a step first names them."""

from __future__ import annotations

from importlib import import_module

from steps.resource import Resource, StepError

TABLE: dict[str, str] = {
    "administrator": "steps.resources.administrator:Administrator",
    "apache": "steps.resources.apache_directive:ApacheDirective",
    "apache-header": "steps.resources.apache_header:ApacheHeader",
    "apache-module": "steps.resources.apache_module:ApacheModule",
    "attest": "steps.resources.attest:Attest",
    "fail2ban": "steps.resources.fail2ban:Fail2ban",
    "file": "steps.resources.file:File",
    "locked-password": "steps.resources.locked_password:LockedPassword",
    "login-defs": "steps.resources.login_defs:LoginDefaults",
    "package": "steps.resources.package:Package",
    "pam": "steps.resources.pam:Pam",
    "password-ageing": "steps.resources.password_ageing:PasswordAgeing",
    "php": "steps.resources.php:Php",
    "pwquality": "steps.resources.pwquality:PasswordQuality",
    "sshd": "steps.resources.sshd:Sshd",
    "sudo-defaults": "steps.resources.sudo_defaults:SudoSettings",
    "sysctl": "steps.resources.sysctl:Sysctl",
    "system-shells": "steps.resources.system_shells:SystemShells",
    "timer": "steps.resources.timer:Timer",
    "tree": "steps.resources.tree:Tree",
    "ufw": "steps.resources.ufw:Ufw",
    "umask": "steps.resources.umask:Umask",
    "unit": "steps.resources.unit:Unit",
}


def kind(name: str) -> type[Resource]:
    """The class of a kind of resource. Raises `StepError` for one that does not exist."""
    if name not in TABLE:
        raise StepError(f"there is no kind of resource {name!r} (there are: {', '.join(TABLE)})")
    module, _, attribute = TABLE[name].partition(":")
    found: type[Resource] = getattr(import_module(module), attribute)
    return found
