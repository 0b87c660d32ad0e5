"""Answers of a host that are given, over a practice host for its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from host.base import Port, Service, Session
from host.facts import Fact, Facts, FactUnavailable
from host.facts.packages import Package
from host.practice import PracticeHost
from steps.resource import Context

T = TypeVar("T")

RECORDED = Path(__file__).parent / "recorded"
RELEASES = ("bookworm", "trixie")

ALICE = Session(
    user="alice",
    client_address="198.51.100.7",
    client_port=51000,
    server_address="203.0.113.5",
    server_port=22,
)
SSHD = Port(protocol="tcp", address="0.0.0.0", port=22, process="sshd", unit="ssh.service")


def recorded(release: str, name: str) -> str:
    return (RECORDED / release / name).read_text(encoding="utf-8")


class Given(Facts):
    """Facts by name; what is not given is read from the practice host."""

    def __init__(self, host: PracticeHost, answers: dict[str, Any]) -> None:
        super().__init__(host)
        self.given = answers

    def get(self, fact: Fact[T]) -> T:
        for name, answer in self.given.items():
            if fact.name == name or fact.name.startswith(f"{name} "):
                if isinstance(answer, FactUnavailable):
                    raise answer
                return answer  # type: ignore[no-any-return]  # given under the fact's own name
        return super().get(fact)


def context(directory: Path, session: Session = ALICE, **answers: Any) -> Context:
    """`answers`: fact names, with "_" for "-"."""
    host = PracticeHost(directory / "practice")
    given = Given(host, {name.replace("_", "-"): answer for name, answer in answers.items()})
    return Context(host, given, session)


def packages(*names: str) -> dict[str, Package]:
    return {name: Package(name, "1", "all", "install", "installed") for name in names}


def unit(name: str, active: str = "active", enabled: str = "enabled") -> Service:
    return Service(unit=name, description="", active=active, sub="running", enabled=enabled)
