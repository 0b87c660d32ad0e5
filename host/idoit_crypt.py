"""Passwords in i-doit's tables, read and written by its own class, as the web server's user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from host.base import CommandMissing, FileState, Host, HostError
from host.secret_text import Secret

WEB_SERVER = 33
"""www-data, the same number on every Debian."""

PHP = (
    "php", "-d", "display_errors=0", "-d", "log_errors=0", "-d", "zend.exception_ignore_args=1",
    "-d", "auto_prepend_file=", "-d", "auto_append_file=", "-r",
)  # fmt: skip

SCRIPT = """\
$harden_tui = json_decode(stream_get_contents(STDIN), true);
try {
    $g_absdir = $harden_tui['path'];
    foreach (['/vendor/autoload.php', '/src/config.inc.php'] as $harden_tui_file) {
        if (is_file($g_absdir . $harden_tui_file)) {
            require_once $g_absdir . $harden_tui_file;
        }
    }
    if (!class_exists('isys_helper_crypt')) {
        require_once $g_absdir . '/src/classes/helper/isys_helper_crypt.class.php';
    }
    $harden_tui_out = ['decrypted' => [], 'encrypted' => []];
    foreach ($harden_tui['decrypt'] as $harden_tui_key => $harden_tui_text) {
        $harden_tui_out['decrypted'][$harden_tui_key]
            = isys_helper_crypt::decrypt($harden_tui_text);
    }
    foreach ($harden_tui['encrypt'] as $harden_tui_key => $harden_tui_text) {
        $harden_tui_crypted = isys_helper_crypt::encrypt($harden_tui_text);
        if (isys_helper_crypt::decrypt($harden_tui_crypted) === $harden_tui_text) {
            $harden_tui_out['encrypted'][$harden_tui_key] = $harden_tui_crypted;
        }
    }
    fwrite(STDOUT, "\\n" . json_encode($harden_tui_out, JSON_FORCE_OBJECT));
} catch (Throwable $harden_tui_error) {
    fwrite(STDERR, get_class($harden_tui_error));
    exit(3);
}
"""
"""Globals of i-doit's own files must stay globals, hence the long names."""


class _Answer(msgspec.Struct):
    decrypted: dict[str, Any] = {}
    encrypted: dict[str, Any] = {}


def decrypt(host: Host, path: str, texts: Mapping[str, str]) -> dict[str, Secret]:
    """What the texts say, by the same keys, without what cannot be read. Raises `HostError`."""
    if not texts:
        return {}
    found = _ask(host, path, {"decrypt": dict(texts), "encrypt": {}}).decrypted
    return {key: Secret(text) for key, text in found.items() if isinstance(text, str)}


def encrypt(host: Host, path: str, password: Secret) -> Secret | None:
    """The password as i-doit keeps it; `None` where its class does not read it again.

    Raises `HostError`.
    """
    asked = {"decrypt": {}, "encrypt": {"it": password.reveal()}}
    found = _ask(host, path, asked).encrypted.get("it")
    return Secret(found) if isinstance(found, str) and found else None


def as_web_user(host: Host, path: str) -> tuple[str, ...]:
    """How a program is started as the owner of the i-doit in `path`, or as the web server.

    Whose that i-doit is says its directory and its configuration both: who owns one of them could
    put somebody else's in the place of the other, and have code of theirs run as them.
    """
    folder = host.state(path) or FileState(kind="dir")
    config = host.state(f"{path}/src/config.inc.php") or FileState(kind="file")
    uid = folder.uid if folder.uid == config.uid and folder.uid else WEB_SERVER
    gid = folder.gid if folder.gid == config.gid and folder.gid else WEB_SERVER
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs")


def _ask(host: Host, path: str, asked: Mapping[str, Any]) -> _Answer:
    argv = (*as_web_user(host, path), *PHP, SCRIPT)
    given = msgspec.json.encode({"path": path, **asked})
    try:
        done = host.run(argv, stdin=given, timeout_s=10.0, ok=None)
    except CommandMissing:
        raise HostError("there is no PHP for the command line here (package php-cli)") from None
    if not done.ok:
        raise HostError(
            f"isys_helper_crypt of the i-doit in {path} does not work on the command line"
            f" (exit status {done.returncode})"
        )
    try:
        return msgspec.json.decode(done.stdout.rpartition("\n")[2], type=_Answer)
    except msgspec.DecodeError:
        raise HostError(f"i-doit's own code below {path} answered something else") from None
