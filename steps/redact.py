"""Secrets stay out of everything that is shown, logged or stored."""

from __future__ import annotations

from collections.abc import Iterable

from host.hashes import MASK, without_hashes

__all__ = ["MASK", "Redactor"]


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
        return without_hashes(text)


def _in_json(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)[1:-1]
