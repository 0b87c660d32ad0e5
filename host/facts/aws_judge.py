"""What is wrong in an answer of AWS, as pure functions: each gives sentences, none where all is
well. They take whatever the client printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from host.facts.aws import Json, listed

WORLD = ("0.0.0.0/0", "::/0")
OPEN_TO_ALL = (80, 443)
OLDEST_KEY_DAYS = 90


def security_groups(answer: Json) -> list[str]:
    """`ec2 describe-security-groups`: what the whole world reaches, but for 80 and 443."""
    wrong = []
    for group in listed(answer, "SecurityGroups"):
        name = f"{group.get('GroupId', '?')} ({group.get('GroupName', '?')})"
        permissions = listed(group, "IpPermissions")
        for permission in permissions:
            sources = [
                *(one.get("CidrIp") for one in listed(permission, "IpRanges")),
                *(one.get("CidrIpv6") for one in listed(permission, "Ipv6Ranges")),
            ]
            world = [str(source) for source in sources if source in WORLD]
            if world and not _is_web(permission):
                wrong.append(f"{name} lets {', '.join(world)} in to {_ports(permission)}")
        if group.get("GroupName") == "default" and permissions:
            wrong.append(f"{name} is a default group and lets something in")
    return wrong


def _is_web(permission: Mapping[str, Json]) -> bool:
    low, high = permission.get("FromPort"), permission.get("ToPort")
    return permission.get("IpProtocol") in ("tcp", "udp") and low == high and low in OPEN_TO_ALL


def _ports(permission: Mapping[str, Json]) -> str:
    protocol = permission.get("IpProtocol")
    if protocol == "-1":
        return "every port"
    low, high = permission.get("FromPort"), permission.get("ToPort")
    return f"{low}/{protocol}" if low == high else f"{low}-{high}/{protocol}"


def ebs_default(answer: Json) -> list[str]:
    """`ec2 get-ebs-encryption-by-default`."""
    on = isinstance(answer, dict) and answer.get("EbsEncryptionByDefault") is True
    return [] if on else ["new EBS volumes are not encrypted by default"]


def volumes(answer: Json) -> list[str]:
    """`ec2 describe-volumes`."""
    return [
        f"EBS volume {one.get('VolumeId', '?')} is not encrypted"
        for one in listed(answer, "Volumes")
        if one.get("Encrypted") is not True
    ]


def databases(answer: Json) -> list[str]:
    """`rds describe-db-instances`."""
    return [
        f"RDS instance {one.get('DBInstanceIdentifier', '?')} is not encrypted"
        for one in listed(answer, "DBInstances")
        if one.get("StorageEncrypted") is not True
    ]


def file_systems(answer: Json) -> list[str]:
    """`efs describe-file-systems`."""
    return [
        f"EFS file system {one.get('FileSystemId', '?')} is not encrypted"
        for one in listed(answer, "FileSystems")
        if one.get("Encrypted") is not True
    ]


def bucket(name: str, answer: Json) -> list[str]:
    """`s3api get-bucket-encryption`."""
    rules = listed(
        answer.get("ServerSideEncryptionConfiguration") if isinstance(answer, dict) else None,
        "Rules",
    )
    if any(isinstance(one.get("ApplyServerSideEncryptionByDefault"), dict) for one in rules):
        return []
    return [f"S3 bucket {name} has no encryption by default"]


def trails(answer: Json, logging: Mapping[str, Json]) -> list[str]:
    """`cloudtrail describe-trails`, and `get-trail-status` of each by its ARN.

    One trail that logs all regions with validation is enough.
    """
    every = listed(answer, "trailList")
    wrong = []
    for trail in every:
        status = logging.get(str(trail.get("TrailARN")))
        lacks = [
            what
            for what, there in (
                ("all regions", trail.get("IsMultiRegionTrail") is True),
                ("log file validation", trail.get("LogFileValidationEnabled") is True),
                ("logging", isinstance(status, dict) and status.get("IsLogging") is True),
            )
            if not there
        ]
        if not lacks:
            return []
        wrong.append(f"trail {trail.get('Name', '?')} lacks {', '.join(lacks)}")
    return wrong or ["there is no trail"]


def firewalls(answer: Json, attached: Mapping[str, Json]) -> list[str]:
    """`elbv2 describe-load-balancers`, and `wafv2 get-web-acl-for-resource` of each by its ARN."""
    wrong = []
    for balancer in listed(answer, "LoadBalancers"):
        if balancer.get("Type") != "application":
            continue
        acl = attached.get(str(balancer.get("LoadBalancerArn")))
        if not (isinstance(acl, dict) and isinstance(acl.get("WebACL"), dict)):
            wrong.append(f"load balancer {balancer.get('LoadBalancerName', '?')} has no WAF")
    return wrong


def is_rotatable(answer: Json) -> bool:
    """`kms describe-key`: a key of the customer, in use, that AWS can rotate."""
    key = answer.get("KeyMetadata") if isinstance(answer, dict) else None
    return (
        isinstance(key, dict)
        and key.get("KeyManager") == "CUSTOMER"
        and key.get("KeyState") == "Enabled"
        and key.get("KeySpec") == "SYMMETRIC_DEFAULT"
        and key.get("Origin") == "AWS_KMS"
    )


def rotation(key_id: str, answer: Json) -> list[str]:
    """`kms get-key-rotation-status`."""
    on = isinstance(answer, dict) and answer.get("KeyRotationEnabled") is True
    return [] if on else [f"KMS key {key_id} is never rotated"]


def caller(answer: Json) -> list[str]:
    """`sts get-caller-identity`: this host must use a role, not somebody's keys."""
    arn = str(answer.get("Arn", "")) if isinstance(answer, dict) else ""
    if ":assumed-role/" in arn:
        return []
    return [f"this host uses the access keys of {arn.rpartition(':')[2] or 'nobody known'}"]


def access_keys(answers: Iterable[Json], now: datetime | None = None) -> list[str]:
    """`iam list-access-keys` of each user: active keys that are old."""
    oldest = (now or datetime.now(UTC)) - timedelta(days=OLDEST_KEY_DAYS)
    wrong = []
    for answer in answers:
        for key in listed(answer, "AccessKeyMetadata"):
            created = _when(key.get("CreateDate"))
            if key.get("Status") == "Active" and (created is None or created < oldest):
                user = key.get("UserName", "?")
                wrong.append(f"an access key of {user} is older than {OLDEST_KEY_DAYS} days")
    return wrong


def _when(text: Json) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
