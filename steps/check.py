"""Checking: every step's resources asked at once, and what the answers amount to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from snapshots.answers import Answers
from steps.model import Finding, Status, Step, StepResult
from steps.parameters import how_to_give
from steps.resource import Context, Resource
from steps.resources.attest import Attest


def applies(step: Step, ctx: Context) -> bool | None:
    """Whether the step is about this host; `None` where the packages cannot be asked."""
    names = [*step.applies.any_package, *([step.applies.package] if step.applies.package else [])]
    if not names:
        return True
    try:
        installed = ctx.facts.get(PACKAGES)
    except FactUnavailable:
        return None
    return any(name in installed for name in names)


def facts_needed(resources: Iterable[Resource]) -> list[Fact[Any]]:
    """Every fact the resources will ask for, and what `applies` asks."""
    wanted: dict[str, Fact[Any]] = {PACKAGES.name: PACKAGES}
    for resource in resources:
        for fact in resource.facts():
            wanted[fact.name] = fact
    return list(wanted.values())


def measure_step(
    step: Step,
    resources: list[Resource],
    missing: list[str],
    ctx: Context,
    *,
    prove: bool = False,
) -> StepResult:
    """One step, asked of the host. `prove` adds the dearer proofs that follow an apply."""
    began = time.monotonic()
    findings: list[Finding] = []
    told: list[str] = []
    status: Status
    note = ""
    about = applies(step, ctx)
    if about is False:
        names = step.applies.package or " or ".join(step.applies.any_package)
        status, note = "not-applicable", f"{names} is not installed"
    elif missing:
        how = how_to_give(step, missing, "--set")
        status, note = "unknown", f"needs a value: {', '.join(missing)} ({how})"
    else:
        try:
            for resource in resources:
                if prove:
                    resource.settle(ctx)
                observed = resource.observe(ctx)
                findings += observed
                told.append(resource.told(observed))
                if prove:
                    findings += resource.prove(ctx)
            status = _status(findings)
            note = "; ".join(filter(None, told)) if status == "pass" else ""
        except FactUnavailable as error:
            status, note = "unknown", str(error)
        except (HostError, OSError) as error:
            status, note = "error", str(error)
        questions = [resource for resource in resources if isinstance(resource, Attest)]
        if questions and status == "unknown":
            status, note = "manual", "only a person can answer this (press t, or `steps attest`)"
            if not findings:  # what was to be measured besides could not be; the question stands
                findings += [question.asked() for question in questions]
    return StepResult(
        id=step.id,
        stage=step.stage,
        title=step.title,
        status=status,
        findings=tuple(findings),
        references=step.references,
        seconds=round(time.monotonic() - began, 4),
        note=note,
    )


def with_answers(result: StepResult, answers: Answers) -> StepResult:
    """What people said of the step, laid over what was measured."""
    status, note = result.status, result.note
    if status == "manual":
        answer = answers.attestation(result.id)
        if answer is not None:
            until = answer.until or "revoked"
            status = "attested"
            note = f"{answer.text} ({answer.by}, {answer.when[:10]}, until {until})"
    if status in ("fail", "unknown", "manual", "error"):
        waiver = answers.waiver(result.id)
        if waiver is not None:
            status = "waived"
            until = waiver.until or "revoked"
            note = f"{waiver.text} ({waiver.by}, {waiver.when[:10]}, until {until})"
    return msgspec.structs.replace(result, status=status, note=note)


def _status(findings: list[Finding]) -> Status:
    counted = [finding for finding in findings if finding.applicable]
    if any(finding.ok is False for finding in counted):
        return "fail"
    if any(finding.ok is None for finding in counted):
        return "unknown"
    if not counted:
        return "not-applicable"
    return "pass"
