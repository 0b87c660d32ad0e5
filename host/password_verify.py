"""Whether passwords fit hashes: MD5 here, everything newer by PHP's own password_verify."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from host.base import CommandMissing, Host, HostError
from host.idoit_crypt import PHP
from host.secret_text import Secret

NOBODY = 65534

SCRIPT = """\
$answers = [];
foreach (json_decode(stream_get_contents(STDIN), true) as [$hash, $passwords]) {
    $fits = false;
    foreach ($passwords as $password) {
        $fits = $fits || password_verify($password, $hash);
    }
    $answers[] = $fits;
}
echo json_encode($answers);
"""

_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def is_md5(hashed: str) -> bool:
    """Whether a hash is MD5 without salt, of which a graphics card tries billions a second."""
    return _MD5.fullmatch(hashed) is not None


def fits_md5(password: str, hashed: str) -> bool:
    """Whether the hash, an MD5, is that of the password."""
    digest = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
    return is_md5(hashed) and digest == hashed.lower()


def verify(host: Host, asked: Sequence[tuple[str, Sequence[Secret]]]) -> list[bool]:
    """For each hash whether one of the passwords fits. Raises `HostError`.

    Every try costs 0.05 s with bcrypt of PHP 8.2, and 0.2 s with that of 8.4 and with argon2id.

    PHP runs as nobody and gets both on its standard input.
    """
    if not asked:
        return []
    given = msgspec.json.encode(
        [(hashed, [password.reveal() for password in tried]) for hashed, tried in asked]
    )
    argv = (
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
        *PHP, SCRIPT,
    )  # fmt: skip
    try:
        done = host.run(argv, stdin=given, timeout_s=15.0, ok=None)
    except CommandMissing:
        raise HostError("there is no PHP for the command line here (package php-cli)") from None
    try:
        found = msgspec.json.decode(done.stdout, type=list[bool])
    except msgspec.DecodeError:
        found = []
    if len(found) != len(asked):
        raise HostError(f"PHP could not compare passwords (exit status {done.returncode})")
    return found
