"""The jobs of cron, line by line: what is run, as whom, and where its output goes."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.texts import read_texts

SYSTEM = ("/etc/crontab", "/etc/cron.d/*")
USERS = ("/var/spool/cron/crontabs/*",)
MASK = "…"

Fate = Literal["kept", "discarded"]

_SET = re.compile(r"\s*[\"']?(\w+)[\"']?\s*=\s*(.*?)\s*$")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""cron passes over files in /etc/cron.d whose names have other characters."""

_CUT = re.compile(r"\s*(?:&&|\|\||;)\s*")
_SILENT = re.compile(
    r"\s*(?:&>>?\s*/dev/null"
    r"|>>?\s*&\s*/dev/null"
    r"|1?>>?\s*/dev/null\s+2>\s*(?:&1|/dev/null)"
    r"|2>\s*/dev/null\s+1?>>?\s*(?:&2|/dev/null))(?=\s|$|[)&])"
)
"""Standard output and standard error, both into nothing."""

_ELSEWHERE = re.compile(r"&?>>?\s*(?!/dev/null|&)\S|\|\s*\S")
# Bounded: users write crontabs, and a long line of beginnings is searched from each of them.
_SECRETS = (
    re.compile(r"(--?(?:password|passwd|pass|pwd)[= ]\s*)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE),
    re.compile(r"(\b\w*(?:PASSWORD|PASSWD|_PWD|SECRET|TOKEN)=)(\"[^\"]*\"|'[^']*'|[^\s;&|]+)"),
    re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]*:)([^\s/@]+)(?=@)"),
    re.compile(
        r"(\b(?:mysql|mariadb|mysqldump|mariadb-dump|mysqladmin)\b[^|;&]{0,300}?\s-p)([^\s'\"=-]\S*)"
    ),
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a crontab. `command` has its secrets masked; `text` is the raw line.

    `output`: whether what it says goes anywhere. `mail_to` is MAILTO as it stands above the line,
    `None` where it is not set (cron then mails the user). `mail_line` is where it is set.
    """

    file: str
    line: int
    user: str
    command: str
    text: str
    output: Fate
    redirected: bool
    has_secret: bool
    mail_to: str | None = None
    mail_line: int = 0

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def is_users(self) -> bool:
        return not self.file.startswith("/etc/")


def masked(text: str) -> str:
    """`text` without the passwords it holds."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def holds_secret(text: str) -> bool:
    return any(pattern.search(text) for pattern in _SECRETS)


def silence(command: str) -> re.Match[str] | None:
    """The redirection that throws away all a command line says; `None` where it does not.

    Only its last command counts: "command -v x > /dev/null 2>&1 && x" lets x speak.
    """
    start = 0
    for cut in _CUT.finditer(command):
        if command[cut.end() :].strip(" )"):
            start = cut.end()
    found = None
    for match in _SILENT.finditer(command, start):
        found = match
    # Whatever follows, such as a pipe, would get nothing.
    return found


def parse_crontab(file: str, text: str, *, with_user: bool) -> list[Job]:
    """Every job of a crontab (crontab(5)); lines that cron would not take are left out."""
    jobs: list[Job] = []
    mail_to: str | None = None
    mail_line = 0
    owner = "" if with_user else file.rpartition("/")[2]
    for number, raw in enumerate(text.split("\n"), 1):
        stripped = raw.strip()
        if not stripped or stripped[0] == "#":
            continue
        setting = _SET.fullmatch(raw)
        if setting and not re.match(r"\s*[@*0-9]", raw):
            if setting[1] == "MAILTO":
                mail_to, mail_line = setting[2].strip("\"'").strip(), number
            continue
        count = 1 if stripped[0] == "@" else 5
        fields = stripped.split(None, count + (1 if with_user else 0))
        if len(fields) <= count + (1 if with_user else 0):
            continue
        user = fields[count] if with_user else owner
        command = fields[-1]
        quiet = silence(command)
        elsewhere = bool(_ELSEWHERE.search(command))
        kept = not quiet and (elsewhere or mail_to != "")
        jobs.append(
            Job(
                file=file,
                line=number,
                user=user,
                command=masked(command),
                text=raw,
                output="kept" if kept else "discarded",
                redirected=quiet is not None,
                has_secret=holds_secret(command),
                mail_to=mail_to,
                mail_line=mail_line,
            )
        )
    return jobs


def _files(host: Host, facts: Facts) -> dict[str, str]:
    if not host.is_root:
        raise FactUnavailable("crontabs of users can be read by root only")
    texts = read_texts(host, (*SYSTEM, *USERS))
    return {
        path: text
        for path, text in texts.items()
        if path == SYSTEM[0] or _NAME.fullmatch(path.rpartition("/")[2])
    }


CRONTABS: Fact[dict[str, str]] = Fact("crontabs", _files)
"""Path -> text of the crontabs that cron reads."""


def jobs_of(texts: dict[str, str]) -> list[Job]:
    """The jobs of all crontabs, in the order of their files."""
    return [
        job
        for path, text in sorted(texts.items())
        for job in parse_crontab(path, text, with_user=path.startswith("/etc/"))
    ]
