"""Mailing what a check found that was not mailed yet, through the host's own sendmail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

from host.base import CommandFailed, CommandMissing
from host.names import visible
from steps import news
from steps.drift_model import DriftReport
from steps.model import StepResult
from tui.failures import refused, usage
from tui.session import Session

SENDMAIL = "/usr/sbin/sendmail"
"""What every mail program of Debian brings under this name."""

TIMEOUT_S = 60.0
_ADDRESS = re.compile(r"[^\s@<>,;:\"\\]+(@[A-Za-z0-9.-]+)?")


def require_address(text: str) -> str:
    """Raises `Stop` (exit 2) for what is neither an address nor a local user."""
    if not _ADDRESS.fullmatch(text) or text.startswith("-"):
        raise usage(f"--mail: {text!r} is neither a mail address nor a user of this host.")
    return text


def mail_news(
    session: Session,
    to: str,
    results: Sequence[StepResult],
    drift: DriftReport,
    *,
    always: bool,
) -> str:
    """Mail what is new, or with `always` even that nothing is; one sentence about it.

    What could not be handed over is not noted as told, and is tried again the next time. Raises
    `Stop` (exit 3).
    """
    told = news.read(session.state)
    found = news.news(told, results, drift)
    if not found and not always:
        return "Nothing new; nothing was mailed."
    message = EmailMessage(policy=SMTP)
    message["To"] = to
    message["Subject"] = f"harden-tui on {session.host.name}: {found.headline}"
    message["Auto-Submitted"] = "auto-generated"
    text = news.as_text(found, session.host.name, session.checklist.name)
    message.set_content(visible(session.engine.redact(text)))
    try:
        session.host.run(
            (SENDMAIL, "-i", "-t"), stdin=message.as_bytes().replace(b"\r\n", b"\n"),
            timeout_s=TIMEOUT_S,
        )  # fmt: skip
    except CommandMissing:
        raise refused(
            f"Nothing was mailed: this host has no {SENDMAIL}. Install a mail program, for example"
            " msmtp-mta or postfix."
        ) from None
    except CommandFailed as error:
        said = (error.completed.stderr or error.completed.stdout).strip().splitlines()
        raise refused(
            f"Nothing was mailed: {SENDMAIL} did not take the message"
            f" ({said[-1] if said else f'exit status {error.completed.returncode}'})."
        ) from None
    news.write(session.state, news.remembered(told, results, drift))
    return f"Mailed to {to}: {found.headline}."
