"""Secrets stay out of everything that is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "••••••"

_HASH = re.compile(r"\$(?:1|2[abxy]|5|6|7|apr1|gy|sha1|y)\$[./A-Za-z0-9$=,]{8,}")
"""The hashes of crypt(5), and Apache's own."""


class Redactor:
    """Replaces every known secret in a text, and whatever looks like a password hash.

    A secret is masked as typed and as it stands inside JSON and quoted shell words. Hashes stand
    in what daemons say of a line they could not read.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if secret:
                forms |= {secret, _in_json(secret), secret.replace("'", "'\"'\"'")}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return _HASH.sub(MASK, text) if "$" in text else text


def _in_json(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)[1:-1]
