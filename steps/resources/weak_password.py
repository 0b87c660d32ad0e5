"""What is wrong with a password, as far as that can be told by looking at it. Pure."""

from __future__ import annotations

from typing import Final

SHORTEST: Final = 16
"""Of passwords that nobody types; BSI recommends eight to twelve where somebody does."""

KNOWN: Final = frozenset(
    "admin administrator changeme cmdb default geheim idoit i-doit joh316 letmein mariadb"
    " mysecret mysql pass password password1 passwort qwerty qwertz root secret start123 test"
    " test123 typo3 user web welcome 123456 12345678 123456789".split()
)
"""Guessed first, or found in installation guides. TYPO3's install tool once came with joh316."""


def weakness(password: str, *names: str) -> str:
    """Why somebody would guess it, a clause that tells nothing more of it; "" if nothing speaks
    against it. `names` are those of the account and its databases."""
    folded = password.casefold()
    if not password:
        return "empty"
    if folded in (name.casefold() for name in names if name):
        return "the name of the account or its database"
    if folded in KNOWN:
        return "a password that everybody knows"
    if len(password) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if len(set(password)) < SHORTEST // 2:
        return "the same few characters again and again"
    return ""
