"""Services and what starts them again: the family, what is refused, disabled or masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import Port, Service, Session
from host.facts.unit_family import Unit as UnitFact
from host.facts.unit_family import members, parse_units
from host.facts.units_unneeded import unneeded_units
from snapshots.model import RunCommand
from steps.resource import Context, StepError
from steps.resources.unit import Unit
from tests.unit.test_sysctl import Given

RECORDED = Path(__file__).parent / "recorded"

suites = pytest.mark.parametrize("suite", ["bookworm", "trixie"])


def recorded(suite: str) -> dict[str, UnitFact]:
    return parse_units((RECORDED / suite / "units/cups.txt").read_text(encoding="utf-8"))


def service(name: str, active: str = "active", enabled: str = "enabled") -> Service:
    return Service(unit=name, description="", active=active, sub="", enabled=enabled)


def context(known: dict[str, UnitFact], ports: tuple[Port, ...] = ()) -> Context:
    units = {name: service(name, unit.active, unit.enabled) for name, unit in known.items()}
    facts = Given({"unit-family": known, "units": units, "ports": ports})
    return Context(facts.host, facts, Session())


def commands(known: dict[str, UnitFact], *stopped: str) -> list[tuple[str, ...]]:
    changes = (
        Unit.parse("minimal.services", {"stopped": list(stopped)}).plan(context(known)).changes
    )
    return [change.argv for change in changes if isinstance(change, RunCommand)]


def refusals(known: dict[str, UnitFact], *stopped: str) -> str:
    planned = Unit.parse("minimal.services", {"stopped": list(stopped)}).plan(context(known))
    return " ".join(planned.refusals)


@suites
def test_what_starts_cups_again_belongs_to_it(suite: str) -> None:
    known = recorded(suite)
    assert "cups.timer" not in known
    family = members(["cups.service"], known)
    assert {unit.name for unit in family} == {"cups.service", "cups.socket", "cups.path"}
    assert known["cups.socket"].listens == ("/run/cups/cups.sock (Stream)",)


@suites
def test_all_of_cups_is_stopped_at_once(suite: str) -> None:
    (argv,) = commands(recorded(suite), "cups")
    assert argv == (
        "systemctl", "disable", "--now", "cups.path", "cups.socket", "cups.service",
    )  # fmt: skip


@suites
def test_the_preview_does_not_depend_on_the_order_of_an_answer(suite: str) -> None:
    known = recorded(suite)
    assert commands(known, "cups") == commands(dict(reversed(known.items())), "cups")


@suites
def test_a_stopped_service_needs_nothing(suite: str) -> None:
    assert commands(recorded(suite), "rsync.service", "nonsuch.service") == []


@suites
def test_what_listens_is_shown_beside_it(suite: str) -> None:
    known = recorded(suite)
    ports = (Port("tcp", "::1", 631, unit="cups.service"), Port("tcp", "0.0.0.0", 22))
    planned = Unit.parse("minimal.services", {"stopped": ["cups"]}).plan(context(known, ports))
    assert "cups.service listens on tcp [::1]:631 (this machine only)." in planned.notes
    assert set(planned.stops) == {"cups.service", "cups.socket", "cups.path"}


@suites
def test_known_unneeded_units_that_exist(suite: str) -> None:
    ctx = context(recorded(suite))
    assert unneeded_units(ctx.facts) == ["cups.service", "rsync.service"]


@suites
def test_what_was_left_out_is_named_and_not_counted(suite: str) -> None:
    findings = Unit.parse("minimal.services", {"stopped": []}).observe(context(recorded(suite)))
    assert [(f.setting, f.applicable) for f in findings] == [
        ("unneeded services", True),
        ("cups.service", False),
        ("rsync.service", False),
    ]


def one(name: str, **properties: object) -> dict[str, UnitFact]:
    return {name: UnitFact(name=name, **properties)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["ssh", "ssh.socket", "dbus.service", "systemd-journald.service", "networking"]
)
def test_what_keeps_the_host_reachable_is_refused(name: str) -> None:
    unit = name if "." in name else f"{name}.service"
    assert f"{unit} keeps this host" in refusals(
        one(unit, active="active", enabled="enabled"), name
    )


def test_a_service_that_another_one_needs_is_refused() -> None:
    known = {
        **one("rpcbind.service", active="active", enabled="enabled", required_by=("app.service",)),
        **one("app.service", active="active", enabled="enabled"),
    }
    assert "app.service needs rpcbind.service" in refusals(known, "rpcbind")
    assert refusals(known, "rpcbind", "app") == ""


def test_a_known_unneeded_service_that_pulls_it_in_goes_too() -> None:
    known = {
        **one(
            "cups.service",
            active="active",
            enabled="enabled",
            required_by=("cups-browsed.service",),
        ),
        **one("cups-browsed.service", active="active", enabled="enabled"),
    }
    assert commands(known, "cups") == [
        ("systemctl", "disable", "--now", "cups-browsed.service", "cups.service")
    ]


def test_a_unit_that_cannot_be_disabled_is_masked() -> None:
    known = one("x.service", active="active", enabled="static", wanted_by=("multi-user.target",))
    assert commands(known, "x") == [("systemctl", "mask", "--now", "x.service")]


def test_a_unit_that_a_kept_one_asks_for_is_masked() -> None:
    known = {
        **one("x.service", active="active", enabled="enabled", wanted_by=("app.service",)),
        **one("app.service", active="active", enabled="enabled"),
    }
    assert commands(known, "x") == [("systemctl", "mask", "--now", "x.service")]


def test_a_mask_never_replaces_an_administrator_s_own_unit() -> None:
    known = one(
        "x.service", active="active", enabled="static", fragment="/etc/systemd/system/x.service"
    )
    assert "Remove that file first" in refusals(known, "x")


def test_an_init_script_is_disabled_and_stopped() -> None:
    known = one("xinetd.service", active="active", enabled="generated", source="/etc/init.d/xinetd")
    assert commands(known, "xinetd") == [
        ("systemctl", "disable", "--now", "xinetd.service"),
        ("systemctl", "stop", "xinetd.service"),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"stopped": "cups"}, {"stopped": ["a.target"]}, {"stopped": ["-x; y"]}]
)
def test_a_bad_body_is_refused(body: object) -> None:
    with pytest.raises((StepError, ValueError)):
        Unit.parse("minimal.services", body)
