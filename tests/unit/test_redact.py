"""A secret is masked in every form it takes on its way out."""

from __future__ import annotations

import json
import shlex

from hypothesis import given
from hypothesis import strategies as st

from steps.redact import MASK, Redactor

secrets = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="•"), min_size=4
)


@given(secrets, st.text())
def test_masked_as_typed_in_json_and_in_shell_words(secret: str, around: str) -> None:
    redact = Redactor([secret])
    typed = redact(f"{around}{secret}{around}")
    assert MASK in typed
    assert secret not in redact(json.dumps({"k": secret}, ensure_ascii=False))
    assert secret not in redact(shlex.join(["cmd", secret]))


def test_nothing_to_hide_changes_nothing() -> None:
    assert Redactor(["", ""])("text") == "text"
