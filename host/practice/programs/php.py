"""PHP: settings from php.ini and the scanned directory, and the answer of a page of PHP."""

from __future__ import annotations

import json
import re

from host.practice.machine import Machine
from host.practice.programs.answer import Answer
from host.practice.programs.apache import parse

VERSION = "8.2"
FOLDER = f"/etc/php/{VERSION}/apache2"

BUILT_IN: dict[str, str] = {
    "allow_url_fopen": "1", "allow_url_include": "0", "disable_classes": "",
    "disable_functions": "", "display_errors": "1", "display_startup_errors": "1",
    "enable_dl": "1", "error_reporting": "", "expose_php": "1", "file_uploads": "1",
    "html_errors": "1", "log_errors": "0", "max_execution_time": "30", "max_input_vars": "1000",
    "memory_limit": "128M", "open_basedir": "", "post_max_size": "8M", "short_open_tag": "1",
    "session.cookie_httponly": "0", "session.cookie_samesite": "", "session.cookie_secure": "0",
    "session.gc_maxlifetime": "1440", "session.use_only_cookies": "1",
    "session.use_strict_mode": "0", "session.use_trans_sid": "0", "upload_max_filesize": "2M",
    "zend.exception_ignore_args": "0",
}  # fmt: skip
"""What PHP has where no file says anything (main.c, session.c)."""

FUNCTIONS = ("exec", "passthru", "popen", "proc_open", "shell_exec", "system", "phpinfo", "dl",
             "show_source", "highlight_file", "pcntl_exec", "posix_kill")  # fmt: skip
_TRUE, _FALSE = ("on", "yes", "true"), ("off", "no", "false", "none")


def php(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """php -r with the question about settings, and -v."""
    folder = env.get("PHPRC", f"/etc/php/{VERSION}/cli")
    if "-r" not in args:
        return Answer(0, f"PHP {VERSION}.29 (cli)\n")
    files = _files(machine, folder)
    answer = {
        "version": f"{VERSION}.29",
        "file": files[0] if files else False,
        "scanned": ",\n".join(files[1:]) + "\n",
        "values": _values(machine, folder),
    }
    return Answer(0, json.dumps(answer) + "\n")


def loaded(machine: Machine) -> dict[str, str]:
    """What Apache's PHP runs with from now on: the files, then Apache's own directives."""
    values = _values(machine, FOLDER)
    for line in parse(machine).lines:
        found = re.match(r"php_(?:admin_)?(?:value|flag)\s+(\S+)\s+(.*)", line.text, re.IGNORECASE)
        if found:
            values[found[1]] = _value(found[2])
    return values


def page(text: str, values: dict[str, str]) -> bytes:
    """What a page of PHP prints: a probe's answer, or its own text without code."""
    asked = re.search(r"foreach \(\[(.*?)\] as \$key\)", text)
    mark = re.search(r"echo '([^']+)', json_encode", text)
    functions = re.search(r"array_filter\(\[(.*?)\], 'function_exists'", text)
    if asked is None or mark is None:
        return re.sub(r"<\?php.*?(\?>|$)", "", text, flags=re.DOTALL).encode()
    names = re.findall(r"'([^']+)'", functions[1] if functions else "")
    disabled = set(re.split(r"[,\s]+", values.get("disable_functions", "")))
    answer = {
        "sapi": "apache2handler",
        "version": VERSION,
        "values": {key: values.get(key) for key in re.findall(r"'([^']+)'", asked[1])},
        "callable": [name for name in names if name in FUNCTIONS and name not in disabled],
    }
    return f"{mark[1]}{json.dumps(answer)}\n".encode()


def _files(machine: Machine, folder: str) -> list[str]:
    main = f"{folder}/php.ini"
    scanned = [f"{folder}/conf.d/{name}" for name in machine.files.listdir(f"{folder}/conf.d")
               if name.endswith(".ini")]  # fmt: skip
    return [main, *scanned] if machine.files.state(main) else scanned


def _values(machine: Machine, folder: str) -> dict[str, str]:
    values = dict(BUILT_IN)
    for file in _files(machine, folder):
        for line in machine.text(file).splitlines():
            found = re.match(r"\s*([a-z_.]+)\s*=\s*(.*)", line, re.IGNORECASE)
            if found:
                values[found[1]] = _value(found[2])
    return values


def _value(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        return text[1:].partition('"')[0]
    text = text.partition(";")[0].strip()
    if text.lower() in _TRUE:
        return "1"
    return "" if text.lower() in _FALSE else text
