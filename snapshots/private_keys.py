"""Private keys (of hosts, of certificates) are restored like any file, but shown nowhere."""

from __future__ import annotations

import re
from typing import Final

NOT_SHOWN: Final = "a private key, not shown"

_BEGINNING: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


def holds_private_key(content: bytes) -> bool:
    return _BEGINNING.search(content) is not None
