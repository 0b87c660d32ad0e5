"""A check's answer in the one line that a monitoring system reads: Nagios' plugins and Checkmk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from steps.drift_model import DriftReport
from steps.model import StepResult
from tui.failures import Scene, Stop, explain

System = Literal["nagios", "checkmk"]

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
SERVICE: Final = "harden-tui"
NAMED: Final = 5
"""How many steps the first line names; all of them follow where there is room."""

WRONG: Final = ("fail", "error")
OPEN: Final = ("unknown", "manual")


def reported(
    system: System, results: Sequence[StepResult], drift: DriftReport, seconds: float
) -> tuple[int, str]:
    """Exit status and text. Critical: a step fails. Warning: one is open, or something drifted.

    Unknown: nothing could be measured at all.
    """
    wrong = [result.id for result in results if result.status in WRONG]
    undecided = [result.id for result in results if result.status in OPEN]
    passed = sum(result.status in ("pass", "attested") for result in results)
    drifted = len(drift.things)
    counted = {
        "fail": len(wrong), "open": len(undecided), "pass": passed, "drifted": drifted,
    }  # fmt: skip
    if results and len(undecided) == len(results):
        status = UNKNOWN
    elif wrong:
        status = CRITICAL
    elif undecided or drifted or drift.problem:
        status = WARNING
    else:
        status = OK
    said = ", ".join(f"{count} {word}" for word, count in counted.items())
    named = [*wrong, *undecided]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    which = f": {', '.join(named[:NAMED])}{more}" if named else ""
    lines = [
        f"{result.id}: {result.status}{f' ({result.note})' if result.note else ''}"
        for result in results
        if result.status in (*WRONG, *OPEN)
    ]
    figures = {
        "fail": f"{len(wrong)};;0;0;{len(results)}",
        "open": f"{len(undecided)};0;;0;{len(results)}",
        "pass": f"{passed};;;0;{len(results)}",
        "drifted": f"{drifted};0;;0",
    }
    return status, _written(system, status, f"{said}{which}", lines, figures, seconds)


def monitored(
    system: System, ask: Callable[[], tuple[Sequence[StepResult], DriftReport, float]]
) -> tuple[int, str]:
    """What `ask` finds; where it cannot be asked, UNKNOWN with the reason, as plugins say it."""
    try:
        results, drift, seconds = ask()
    except Stop as stop:
        reason = stop.message
    except Exception as error:  # whatever it is, a plugin must say UNKNOWN
        _, reason = explain(error, Scene())
    else:
        return reported(system, results, drift, seconds)
    return UNKNOWN, _written(system, UNKNOWN, reason, [], {}, None)


def _written(
    system: System, status: int, said: str, lines: Sequence[str], figures: dict[str, str],
    seconds: float | None,
) -> str:  # fmt: skip
    def plain(text: str) -> str:
        return " ".join(text.replace("|", "/").split())

    if system == "checkmk":
        values = "|".join(f"{name}={value}" for name, value in figures.items()) or "-"
        details = "".join(f"\\n{plain(line)}" for line in lines)
        return f'{status} "{SERVICE}" {values} {plain(said)}{details}'
    if seconds is not None:
        figures = {**figures, "time": f"{seconds:.2f}s;;;0"}
    values = " ".join(f"{name}={value}" for name, value in figures.items())
    first = f"HARDEN-TUI {WORDS[status]} - {plain(said)}"
    rest = "".join(f"\n{plain(line)}" for line in lines)
    return f"{first}{f' | {values}' if values else ''}{rest}"
