"""What each daemon runs with since it last read its configuration, and what Apache answers."""

from __future__ import annotations

import re
from urllib.parse import unquote

from host.base import HttpAnswer
from host.practice.machine import Machine
from host.practice.programs import apache, fail2ban, php

MISSING_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1>\n"


def loaded(machine: Machine, unit: str) -> dict[str, list[str]]:
    """The memory of a daemon that reads its configuration now."""
    if unit == "apache2.service":
        values = [f"{key}={value}" for key, value in php.loaded(machine).items()]
        return {**apache.loaded(machine), "php": values}
    if unit == "fail2ban.service":
        machine.memory.jails = fail2ban.configured(machine)
    return {}


def http(machine: Machine, path: str, method: str) -> HttpAnswer | None:
    """Apache's answer with what it runs with now; `None` where it does not run."""
    unit = machine.memory.units.get("apache2.service")
    if unit is None or not unit.active:
        return None
    memory = machine.memory.loaded.get("apache2.service", {})
    directives = memory.get("directives", [])
    values = dict(line.split("=", 1) for line in memory.get("php", []))
    tokens = _last(directives, "ServerTokens") or "Full"
    server = "Apache" if tokens.lower().startswith("prod") else "Apache/2.4.62 (Debian)"
    headers = [("server", server)]
    if method == "TRACE":
        refused = (_last(directives, "TraceEnable") or "On").lower() == "off"
        status = 405 if refused else 200
        return HttpAnswer(status, "", tuple(headers), b"" if refused else b"TRACE / HTTP/1.1\r\n")
    name, _, query = path.partition("?")
    if "security2" in memory.get("modules", []) and _is_stopped(machine, directives, name, query):
        return HttpAnswer(403, "Forbidden", tuple(headers), b"<title>403 Forbidden</title>")
    file = f"/var/www/html{name if not name.endswith('/') else f'{name}index.html'}"
    state = machine.files.state(file)
    body = MISSING_PAGE
    status = 404
    if name.startswith("/server-status") and "status" in memory.get("modules", []):
        status, body = 200, b"Apache Server Status\n"
    elif state is not None and state.kind == "file" and _is_refused(directives, file):
        return HttpAnswer(403, "Forbidden", tuple(headers), b"<title>403 Forbidden</title>")
    elif state is not None and state.kind == "file":
        status, body = 200, machine.text(file).encode()
        if name.endswith(".php"):
            body = php.page(machine.text(file), values)
            if values.get("expose_php") not in ("", "0"):
                headers.append(("x-powered-by", f"PHP/{php.VERSION}.29"))
    if status == 404 and (_last(directives, "ServerSignature") or "Off").lower() != "off":
        body += f"<hr>\n<address>{server} Server at practice Port 80</address>\n".encode()
    headers += _headers(directives, status)
    return HttpAnswer(status, "OK" if status == 200 else "Not Found", tuple(headers), body)


def _is_refused(directives: list[str], file: str) -> bool:
    """Whether a `<Directory>`, perhaps with `<FilesMatch>` in it, lets nobody have the file."""
    folder, pattern, refused = "", "", False
    for line in directives:
        if found := re.fullmatch(r'<Directory "?(.+?)"?>', line):
            folder = re.sub(r"\\(.)", r"\1", found.group(1)).rstrip("/")
        elif found := re.fullmatch(r'<FilesMatch "?(.+?)"?>', line):
            pattern = found.group(1)
        elif line == "</Directory>":
            folder = ""
        elif line == "</FilesMatch>":
            pattern = ""
        elif line == "Require all denied" and folder and file.startswith(f"{folder}/"):
            name = file.rpartition("/")[2]
            refused |= not pattern or re.search(pattern, name) is not None
    return refused


def _is_stopped(machine: Machine, directives: list[str], name: str, query: str) -> bool:
    """Log what looks like an attack to ModSecurity; whether it is answered instead of a page."""
    argument, _, value = unquote(query).partition("=")
    engine = (_last(directives, "SecRuleEngine") or "Off").lower()
    if "<script" not in value or engine == "off":
        return False
    log = "/var/log/apache2/error.log"
    line = (
        "[Wed Nov 25 10:00:00.000000 2026] [security2:error] [pid 77:tid 77] [client 127.0.0.1:1]"
        ' ModSecurity: Warning. detected XSS using libinjection. [id "941100"] [msg "XSS Attack'
        f' Detected via libinjection"] [data "XSS data found within ARGS:{argument}: {value}"]'
        f' [uri "{name}"] [unique_id "practice"]\n'
    )
    machine.write(log, machine.text(log) + line)
    return engine == "on"


def _last(directives: list[str], name: str) -> str:
    """The last value of a directive; sections are not told apart on this one-site server."""
    found = [line.split(None, 1)[1] for line in directives
             if line.lower().startswith(f"{name.lower()} ")]  # fmt: skip
    return found[-1].strip('"') if found else ""


def _headers(directives: list[str], status: int) -> list[tuple[str, str]]:
    tables: dict[str, dict[str, str]] = {"always": {}, "onsuccess": {}}
    for line in directives:
        found = re.match(
            r'Header (?:(always|onsuccess) )?(set|setifempty|unset|append|add) ([\w-]+):?'
            r'(?: (?:"((?:[^"\\]|\\.)*)"|(\S+)))?',
            line, re.IGNORECASE,
        )  # fmt: skip
        if not found:
            continue
        table = tables[(found[1] or "onsuccess").lower()]
        name, value = found[3].lower(), (found[4] or found[5] or "").replace('\\"', '"')
        if found[2].lower() == "unset":
            table.pop(name, None)
        elif found[2].lower() != "setifempty" or name not in table:
            table[name] = value
    sent = list(tables["always"].items())
    return sent + (list(tables["onsuccess"].items()) if status < 400 else [])
