"""aws.*: answers as AWS documents them, and hosts that are somewhere else.

There is no account behind these: the answers are written after the examples of the AWS CLI's own
reference.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import HttpAnswer
from host.facts import Facts, FactUnavailable, aws_judge
from host.facts.aws import ASSET, VENDOR, Instance, is_ec2, listed, parse_answer, why
from steps.resource import Context, StepError
from steps.resources.aws import Aws, AwsMetadata
from tests.unit.given import ALICE, context
from tests.unit.web_host import WebHost

GROUPS: Any = {
    "SecurityGroups": [
        {"GroupId": "sg-1", "GroupName": "web", "IpPermissions": [
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
             "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
             "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": []},
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
             "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ]},
        {"GroupId": "sg-2", "GroupName": "default", "IpPermissions": [
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-2"}]},
        ]},
        {"GroupId": "sg-3", "GroupName": "default", "IpPermissions": []},
    ]
}  # fmt: skip
TRAIL = {"Name": "all", "TrailARN": "arn:1", "IsMultiRegionTrail": True,
         "LogFileValidationEnabled": True}  # fmt: skip
BALANCERS: Any = {
    "LoadBalancers": [
        {"LoadBalancerArn": "arn:a", "LoadBalancerName": "a", "Type": "application"},
        {"LoadBalancerArn": "arn:b", "LoadBalancerName": "b", "Type": "application"},
        {"LoadBalancerArn": "arn:n", "LoadBalancerName": "n", "Type": "network"},
    ]
}
KEY = {"KeyManager": "CUSTOMER", "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT",
       "Origin": "AWS_KMS"}  # fmt: skip


def test_what_the_world_reaches() -> None:
    assert aws_judge.security_groups(GROUPS) == [
        "sg-1 (web) lets 0.0.0.0/0 in to 22/tcp",
        "sg-1 (web) lets ::/0 in to every port",
        "sg-2 (default) is a default group and lets something in",
    ]


def test_storage() -> None:
    assert aws_judge.ebs_default({"EbsEncryptionByDefault": True}) == []
    assert aws_judge.ebs_default(None)
    assert aws_judge.volumes({"Volumes": [{"VolumeId": "v", "Encrypted": False}]}) == [
        "EBS volume v is not encrypted"
    ]
    assert aws_judge.databases({"DBInstances": [{"StorageEncrypted": True}]}) == []
    assert aws_judge.file_systems({"FileSystems": [{"FileSystemId": "f"}]})
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
    assert aws_judge.bucket("b", {"ServerSideEncryptionConfiguration": {"Rules": rules}}) == []
    assert aws_judge.bucket("b", None) == ["S3 bucket b has no encryption by default"]


def test_one_good_trail_is_enough() -> None:
    on, off = {"arn:1": {"IsLogging": True}}, {"arn:1": {"IsLogging": False}}
    other = {"Name": "old", "TrailARN": "arn:2"}
    assert aws_judge.trails({"trailList": [other, TRAIL]}, on) == []
    assert aws_judge.trails({"trailList": [TRAIL]}, off) == ["trail all lacks logging"]
    assert aws_judge.trails({"trailList": []}, {}) == ["there is no trail"]


def test_load_balancers() -> None:
    attached = {"arn:a": {"WebACL": {"Name": "x"}}, "arn:b": None}
    assert aws_judge.firewalls(BALANCERS, attached) == ["load balancer b has no WAF"]


def test_keys() -> None:
    assert aws_judge.is_rotatable({"KeyMetadata": KEY})
    assert not aws_judge.is_rotatable({"KeyMetadata": {**KEY, "KeyManager": "AWS"}})
    assert aws_judge.rotation("k", {"KeyRotationEnabled": False}) == ["KMS key k is never rotated"]
    assert aws_judge.caller({"Arn": "arn:aws:sts::1:assumed-role/web/i-0abc"}) == []
    assert aws_judge.caller({"Arn": "arn:aws:iam::1:user/bob"}) == [
        "this host uses the access keys of user/bob"
    ]
    keys = {"AccessKeyMetadata": [
        {"UserName": "a", "Status": "Active", "CreateDate": "2026-01-01T00:00:00+00:00"},
        {"UserName": "b", "Status": "Active", "CreateDate": "2026-11-01T00:00:00+00:00"},
        {"UserName": "c", "Status": "Inactive", "CreateDate": "2020-01-01T00:00:00Z"},
    ]}  # fmt: skip
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert aws_judge.access_keys([keys], now) == ["an access key of a is older than 90 days"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["SecurityGroups", "IpPermissions", "IpRanges", "Volumes", "trailList",
                         "LoadBalancers", "Buckets", "AccessKeyMetadata", "KeyMetadata"]), inner,
    ),
)  # fmt: skip


@given(ANYTHING)
def test_any_answer_is_judged(answer: Any) -> None:
    for judged in (aws_judge.security_groups, aws_judge.ebs_default, aws_judge.volumes,
                   aws_judge.databases, aws_judge.file_systems, aws_judge.caller):  # fmt: skip
        judged(answer)
    aws_judge.bucket("b", answer)
    aws_judge.trails(answer, {})
    aws_judge.firewalls(answer, {})
    aws_judge.is_rotatable(answer)
    aws_judge.access_keys([answer])
    listed(answer, "Volumes")


@given(st.text())
def test_any_text_is_an_answer_or_said_not_to_be(text: str) -> None:
    why(text)
    try:
        parse_answer(text)
    except FactUnavailable:
        return


def test_firmware() -> None:
    assert is_ec2("Amazon EC2\n", "")
    assert is_ec2("", "i-0123456789abcdef0\n")
    assert not is_ec2("QEMU", "")


def body(**more: Any) -> dict[str, Any]:
    return {"what": "trail", "ask": False, "regions": [], "question": "Well?", **more}


def test_elsewhere_nothing_applies(tmp_path: Path) -> None:
    ctx = context(tmp_path, ec2_instance=Instance(False, "QEMU"))
    for step in (Aws.parse("x.y", body()), AwsMetadata.parse("x.y", {"question": "Well?"})):
        (finding,) = step.observe(ctx)
        assert not finding.applicable and "QEMU" in finding.note


def test_a_person_is_asked_where_aws_is_not(tmp_path: Path) -> None:
    ctx = context(tmp_path, ec2_instance=Instance(True, "Amazon EC2"))
    (finding,) = Aws.parse("x.y", body()).observe(ctx)
    assert finding.setting == "answer of a person"


def instance(answers: dict[tuple[str, str], Any]) -> Context:
    """An EC2 instance whose `aws` prints these, by its first two words."""
    host = WebHost("bookworm")
    host.files[VENDOR], host.files[ASSET] = "Amazon EC2\n", "i-0123456789abcdef0\n"

    def aws(argv: list[str]) -> tuple[int, str]:
        assert argv[2].startswith(("describe-", "get-", "list-")), "it only ever asks"
        if (argv[1], argv[2]) not in answers:
            return 254, "An error occurred (AccessDenied) when calling it: not authorized"
        answer = answers[argv[1], argv[2]]
        return 0, "" if answer is None else json.dumps(answer)

    host.programs["aws"] = aws
    return Context(host, Facts(host), ALICE)


def asking(what: str) -> Aws:
    return Aws.parse("x.y", body(what=what, ask=True, regions=["eu-central-1"]))


def test_aws_is_asked() -> None:
    ctx = instance({("ec2", "describe-security-groups"): GROUPS})
    (finding,) = asking("security-groups").observe(ctx)
    assert finding.ok is False and "22/tcp" in finding.running
    assert asking("security-groups").plan(ctx).changes == ()


def test_every_question() -> None:
    answers: dict[tuple[str, str], Any] = {
        ("ec2", "get-ebs-encryption-by-default"): {"EbsEncryptionByDefault": True},
        ("ec2", "describe-volumes"): {"Volumes": []},
        ("rds", "describe-db-instances"): {"DBInstances": []},
        ("efs", "describe-file-systems"): {"FileSystems": []},
        ("s3api", "list-buckets"): {"Buckets": [{"Name": "b"}]},
        ("s3api", "get-bucket-encryption"): None,
        ("cloudtrail", "describe-trails"): {"trailList": [TRAIL]},
        ("cloudtrail", "get-trail-status"): {"IsLogging": True},
        ("elbv2", "describe-load-balancers"): BALANCERS,
        ("wafv2", "get-web-acl-for-resource"): {"WebACL": {"Name": "x"}},
        ("sts", "get-caller-identity"): {"Arn": "arn:aws:sts::1:assumed-role/web/i-0abc"},
        ("kms", "list-keys"): {"Keys": [{"KeyId": "k"}]},
        ("kms", "describe-key"): {"KeyMetadata": KEY},
        ("kms", "get-key-rotation-status"): {"KeyRotationEnabled": True},
        ("iam", "list-users"): {"Users": [{"UserName": "a"}]},
        ("iam", "list-access-keys"): {"AccessKeyMetadata": []},
    }
    oks = {
        what: [finding.ok for finding in asking(what).observe(instance(answers))]
        for what in ("storage-encryption", "trail", "waf", "keys")
    }
    assert oks == {"storage-encryption": [True, False], "trail": [True], "waf": [True],
                   "keys": [True, True, True]}  # fmt: skip


def test_a_role_that_may_not_ask_leaves_it_to_a_person() -> None:
    findings = asking("trail").observe(instance({}))
    assert "AccessDenied" in findings[0].note
    assert findings[-1].setting == "answer of a person"


@pytest.mark.parametrize(("status", "ok"), [(401, True), (200, False)])
def test_the_metadata_service(status: int, ok: bool) -> None:
    ctx = instance({})
    assert isinstance(ctx.host, WebHost)
    ctx.host.dynamic = lambda path: HttpAnswer(status, "", (), b"")
    (finding,) = AwsMetadata.parse("x.y", {"question": "Well?"}).observe(ctx)
    assert finding.ok is ok


def test_no_name_of_a_region() -> None:
    with pytest.raises(StepError, match="regions"):
        Aws.parse("x.y", body(regions=["eu; rm"]))
    with pytest.raises(StepError, match="regions"):
        Aws.parse("x.y", body(ask=True))
