"""What the AWS account around this host is like: AWS is asked where that may be, else a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import Host
from host.facts import Fact, Facts, FactUnavailable
from host.facts import aws_judge as judge
from host.facts.aws import INSTANCE, METADATA_V1, Json, ask, listed
from steps.model import Finding
from steps.resource import Context, Planned, StepError
from steps.resources.attest import Attest

What = Literal["security-groups", "storage-encryption", "trail", "waf", "keys"]

MOST: Final = 50
"""Buckets, keys, users and load balancers are asked about one by one, but not for minutes."""

SHOWN: Final = 10

Answer = tuple[str, list[str]]
"""What was asked about, and what is wrong with it."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`ask`: whether AWS is asked at all (each question takes a second), in which `regions`."""

    what: What
    ask: bool
    regions: list[str]
    question: str
    valid_days: int = 365


class Aws(Attest):
    """`aws: {what: trail, ask: true, regions: [eu-central-1], question: …}`."""

    kind: ClassVar[str] = "aws"

    def __init__(self, body: _Body) -> None:
        super().__init__(body.question.strip(), body.valid_days)
        self.body = body
        name = f"aws-{body.what} {' '.join(body.regions)}"
        self.answers: Fact[tuple[Answer, ...]] = Fact(name, self._ask)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Aws:
        given = msgspec.convert(body, _Body)
        for region in given.regions:
            if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", region):
                raise StepError(f"regions: {region!r} is no name of a region of AWS")
        if given.ask and not given.regions:
            raise StepError("regions: name those the account uses, such as eu-central-1")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (INSTANCE, self.answers) if self.body.ask else (INSTANCE,)

    def observe(self, ctx: Context) -> list[Finding]:
        elsewhere = not_on_aws(ctx, self.body.what)
        if elsewhere is not None:
            return [elsewhere]
        if not self.body.ask:
            return super().observe(ctx)
        try:
            answers = ctx.facts.get(self.answers)
        except FactUnavailable as error:
            return [
                Finding(
                    resource="aws", setting=self.body.what, expected="asked of AWS", ok=None,
                    note=str(error),
                ),
                *super().observe(ctx),
            ]  # fmt: skip
        return [_finding(about, wrong) for about, wrong in answers]

    def plan(self, ctx: Context) -> Planned:
        wrong = [
            f"{one.setting}: {one.running}" for one in self.observe(ctx) if one.ok is False
        ]  # fmt: skip
        if wrong:
            return Planned(notes=(*wrong, "This is changed in AWS, not on this host."))
        return Planned(notes=(self.question,))

    def _ask(self, host: Host, facts: Facts) -> tuple[Answer, ...]:
        if not facts.get(INSTANCE).is_ec2:
            return ()
        return tuple(QUESTIONS[self.body.what](host, self.body.regions))


class AwsMetadata(Attest):
    """`aws-metadata: {question: …}`: asked from inside, without a token, it must answer 401."""

    kind: ClassVar[str] = "aws-metadata"

    def facts(self) -> tuple[Fact[Any], ...]:
        return (INSTANCE,)

    def observe(self, ctx: Context) -> list[Finding]:
        elsewhere = not_on_aws(ctx, "metadata service")
        if elsewhere is not None:
            return [elsewhere]
        status = ctx.facts.get(METADATA_V1)
        finding = Finding(
            resource="aws", setting="metadata service, version 1", expected="refused (401)",
            running=f"answers {status}" if status else "does not answer",
            persistent=f"answers {status}" if status else "does not answer",
        )  # fmt: skip
        if status == 0:
            note = "switched off, or something on the way refuses it; a person knows which"
            return [msgspec.structs.replace(finding, note=note), *super().observe(ctx)]
        return [msgspec.structs.replace(finding, ok=status == 401)]

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        return Planned(
            notes=(
                "This is changed in AWS, by whoever may: aws ec2 modify-instance-metadata-options"
                " --instance-id … --http-tokens required --http-put-response-hop-limit 1",
                self.question,
            )
        )


def not_on_aws(ctx: Context, setting: str) -> Finding | None:
    """That none of this is about this host; `None` on an EC2 instance."""
    instance = ctx.facts.get(INSTANCE)
    if instance.is_ec2:
        return None
    return Finding(
        resource="aws", setting=setting, expected="as the step wants it", applicable=False,
        note=f"this host is no EC2 instance (its firmware says {instance.vendor or 'nothing'})",
    )  # fmt: skip


def _finding(about: str, wrong: Sequence[str]) -> Finding:
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    running = "; ".join(wrong[:SHOWN]) + more if wrong else "nothing is wrong"
    return Finding(
        resource="aws", setting=about, expected="nothing is wrong", running=running,
        persistent=running, ok=not wrong,
    )  # fmt: skip


def _security_groups(host: Host, regions: Sequence[str]) -> list[Answer]:
    argv = ("ec2", "describe-security-groups")
    return [
        (f"security groups in {region}", judge.security_groups(ask(host, argv, region)))
        for region in regions
    ]


def _storage(host: Host, regions: Sequence[str]) -> list[Answer]:
    found: list[Answer] = []
    for region in regions:

        def of(*argv: str, region: str = region) -> Json:
            return ask(host, argv, region)

        wrong = [
            *judge.ebs_default(of("ec2", "get-ebs-encryption-by-default")),
            *judge.volumes(of("ec2", "describe-volumes")),
            *judge.databases(of("rds", "describe-db-instances")),
            *judge.file_systems(of("efs", "describe-file-systems")),
        ]
        found.append((f"storage in {region}", wrong))
    names = [
        str(one.get("Name")) for one in listed(ask(host, ("s3api", "list-buckets")), "Buckets")
    ]
    wrong = []
    for name in names[:MOST]:
        try:
            answer = ask(host, ("s3api", "get-bucket-encryption", "--bucket", name))
        except FactUnavailable as error:
            if "ServerSideEncryptionConfigurationNotFound" not in str(error):
                raise
            answer = None
        wrong += judge.bucket(name, answer)
    return [*found, (_of("S3 buckets", len(names)), wrong)]


def _trail(host: Host, regions: Sequence[str]) -> list[Answer]:
    found: list[Answer] = []
    for region in regions:
        every = ask(host, ("cloudtrail", "describe-trails"), region)
        arns = [str(trail.get("TrailARN")) for trail in listed(every, "trailList")]
        logging = {
            arn: ask(host, ("cloudtrail", "get-trail-status", "--name", arn), region)
            for arn in arns[:MOST]
        }
        found.append((f"CloudTrail, seen from {region}", judge.trails(every, logging)))
    return found


def _waf(host: Host, regions: Sequence[str]) -> list[Answer]:
    found: list[Answer] = []
    for region in regions:
        every = ask(host, ("elbv2", "describe-load-balancers"), region)
        arns = [
            str(one.get("LoadBalancerArn"))
            for one in listed(every, "LoadBalancers")
            if one.get("Type") == "application"
        ]
        attached = {
            arn: ask(host, ("wafv2", "get-web-acl-for-resource", "--resource-arn", arn), region)
            for arn in arns[:MOST]
        }
        about = _of(f"load balancers in {region}", len(arns))
        found.append((about, judge.firewalls(every, attached)))
    return found


def _keys(host: Host, regions: Sequence[str]) -> list[Answer]:
    found: list[Answer] = [
        ("who this host is to AWS", judge.caller(ask(host, ("sts", "get-caller-identity")))),
    ]
    for region in regions:
        ids = [
            str(one.get("KeyId")) for one in listed(ask(host, ("kms", "list-keys"), region), "Keys")
        ]
        wrong = []
        for key in ids[:MOST]:
            if judge.is_rotatable(ask(host, ("kms", "describe-key", "--key-id", key), region)):
                status = ask(host, ("kms", "get-key-rotation-status", "--key-id", key), region)
                wrong += judge.rotation(key, status)
        found.append((_of(f"KMS keys in {region}", len(ids)), wrong))
    users = [str(one.get("UserName")) for one in listed(ask(host, ("iam", "list-users")), "Users")]
    answers = [
        ask(host, ("iam", "list-access-keys", "--user-name", user)) for user in users[:MOST]
    ]  # fmt: skip
    return [*found, (_of("access keys of users", len(users)), judge.access_keys(answers))]


def _of(what: str, count: int) -> str:
    """Says so where not all were asked about."""
    return what if count <= MOST else f"{what} (the first {MOST} of {count})"


QUESTIONS: Mapping[str, Callable[[Host, Sequence[str]], list[Answer]]] = {
    "security-groups": _security_groups,
    "storage-encryption": _storage,
    "trail": _trail,
    "waf": _waf,
    "keys": _keys,
}
