"""fail2ban's jails and filters for the failed logins of TYPO3 and i-doit."""

from __future__ import annotations

from typing import Any, Final

from steps.resources.login_bans_service import IDENTIFIER, unit_of

RATE_LIMIT: Final = 5
RATE_WINDOW_S: Final = 15 * 60
"""TYPO3's defaults, BE/loginRateLimit and BE/loginRateLimitInterval: attempts of one address."""

_JOURNAL: Final = """\
[INCLUDES]
before = common.conf

[Definition]
_daemon = {identifier}
failregex = ^%(__prefix_line)s{name} refused a login from <ADDR> to \\S+ as "
ignoreregex =
"""

_TURNED_AWAY: Final = (
    r'^(?:\S+:\d+ )?<ADDR> \S+ [^"\[]*\[\] "POST <login_path>(?:/|\?\S*)? HTTP/[0-9.]+" 40[13]\s'
)

WEB: Final = f"""\
# A login that TYPO3 turned away (403: too many before it), or the site itself (401). One that
# TYPO3 looked at and refused is answered with 200: the table sys_log has it.
[Definition]
failregex = {_TURNED_AWAY}
ignoreregex =
datepattern = ^[^\\[]*\\[({{DATE}})

[Init]
login_path = /typo3/login
"""


FIRST: Final = """\
# A mail at the first failed login of an address. It bans nobody.
[INCLUDES]
before = sendmail-common.conf

[Definition]
actionstart =
actionstop =
actionban = printf %%b "Subject: [Fail2Ban] <name>: first failed login from <ip>, <fq-hostname>
            Date: `LC_ALL=C date +"%%a, %%d %%h %%Y %%T %%z"`
            From: <sendername> <<sender>>
            To: <dest>\\n
            A login failed from <ip>. After more of them the address is banned.\\n" | <mailcmd>
actionunban =

[Init]
name = default
"""


def reachable(find_s: int) -> int:
    """How many failures of one address TYPO3 writes down within `find_s`."""
    return RATE_LIMIT * max(1, find_s // RATE_WINDOW_S)


def jails_of(
    application: str, *, max_retry: int, find_time: str, ban_time: str, ignore: list[str],
    mail: str, login_path: str, access_log: str,
) -> dict[str, Any]:  # fmt: skip
    """The body of the resource `fail2ban` for one application.

    A jail of its own mails at the first failure of an address, and bans nobody.
    """
    short = application.replace("-", "")
    journal = {
        "port": "http,https",
        "journal": [f"_SYSTEMD_UNIT={unit_of(application)}"],
        "required": True,
        "settings": {"filter": f"harden-tui-{short}"},
    }
    jails: dict[str, Any] = {
        f"{short}-backend": journal,
        f"{short}-first": {
            **journal,
            "max-retry": 1,
            "ban-time": find_time,
            "mail-action": "harden-tui-first",
        },
    }
    name = "TYPO3" if application == "typo3" else "i-doit"
    files = {f"filter.d/harden-tui-{short}": _JOURNAL.format(identifier=IDENTIFIER, name=name)}
    if application == "typo3":
        files["filter.d/harden-tui-typo3-web"] = WEB
        jails["typo3-web"] = {
            "any-package": ["apache2"],
            "port": "http,https",
            "log": access_log,
            "settings": {"filter": f"harden-tui-typo3-web[login_path={login_path}]"},
        }
    if mail:
        files["action.d/harden-tui-first"] = FIRST
    return {
        "max-retry": max_retry,
        "find-time": find_time,
        "ban-time": ban_time,
        "ignore": ignore,
        "mail": mail,
        "files": files,
        "jails": jails,
    }
