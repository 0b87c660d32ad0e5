"""What AWS says of the account this host runs in, through its own command line client.

Whether the host is an EC2 instance its firmware tells. The client is only ever asked to list and
describe; what it may see is up to the instance's role.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

VENDOR: Final = "/sys/class/dmi/id/sys_vendor"
ASSET: Final = "/sys/class/dmi/id/board_asset_tag"
METADATA: Final = "169.254.169.254"
METADATA_PATH: Final = "/latest/meta-data/"
TIMEOUT_S: Final = 20.0

Json = Any
"""Whatever the client printed; what reads it must expect anything."""


class Instance(msgspec.Struct, frozen=True):
    """`is_ec2`, and the vendor its firmware names ("Amazon EC2", "QEMU", "")."""

    is_ec2: bool
    vendor: str


def is_ec2(vendor: str, asset: str) -> bool:
    """Nitro instances say so in DMI; their asset tag is the instance's id."""
    return vendor.strip() == "Amazon EC2" or bool(re.fullmatch(r"i-[0-9a-f]{8,17}", asset.strip()))


def parse_answer(text: str) -> Json:
    """The client's JSON; `None` where it printed nothing. Raises `FactUnavailable`."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FactUnavailable("aws answered something that is no JSON") from None


def listed(answer: Json, name: str) -> list[dict[str, Json]]:
    """The objects of a list in an answer; none where there is no such list."""
    found = answer.get(name) if isinstance(answer, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def why(stderr: str) -> str:
    """The client's own reason in one line: "An error occurred (AccessDenied) when calling …"."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def ask(host: Host, argv: Sequence[str], region: str = "") -> Json:
    """One question to the client. Raises `FactUnavailable` with its reason."""
    where = ("--region", region) if region else ()
    try:
        answer = host.run(
            ("aws", *argv, *where, "--output", "json", "--no-cli-pager"),
            ok=None, timeout_s=TIMEOUT_S,
        )  # fmt: skip
    except CommandMissing:
        raise FactUnavailable("the AWS client is not installed on this host (awscli)") from None
    except HostError as error:
        raise FactUnavailable(str(error)) from None
    if not answer.ok:
        raise FactUnavailable(f"aws {' '.join(argv[:2])}: {why(answer.stderr)}")
    return parse_answer(answer.stdout)


def _instance(host: Host, facts: Facts) -> Instance:
    vendor, asset = _text(host, VENDOR), _text(host, ASSET)
    return Instance(is_ec2(vendor, asset), vendor.strip())


def _metadata(host: Host, facts: Facts) -> int:
    """The status with which version 1 answers; 0 where nothing answers."""
    try:
        return host.http(
            METADATA_PATH, address=METADATA, host_header=METADATA, timeout_s=1.0
        ).status  # fmt: skip
    except HostError:
        return 0


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except (HostError, OSError):
        return ""


INSTANCE: Fact[Instance] = Fact("ec2-instance", _instance)
METADATA_V1: Fact[int] = Fact("ec2-metadata-v1", _metadata)
"""What a question without a token is answered; asked for on EC2 instances only."""
