"""The catalogue and the checklists: ours, and those of the site, loaded strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from host.base import Host, HostError
from steps import parameters
from steps.built_in import BuiltIn, Extended
from steps.model import Parameter, Step
from steps.resource import Resource, StepError
from steps.resources import kind, known
from steps.yaml_lines import Entry, read_entries

SITE_STEPS = "/etc/harden-tui/steps.d"
SITE_CHECKLISTS = "/etc/harden-tui/checklists.d"
LARGEST_FILE_BYTES = 1024 * 1024

_STEP_ID = re.compile(r"[a-z0-9]+\.[a-z0-9]+(-[a-z0-9]+)*")


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step on a checklist, with values for its parameters."""

    id: str
    set: dict[str, Any] = {}


class Checklist(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ordered choice of steps."""

    name: str
    title: str
    description: str
    steps: list[str | Choice]

    @property
    def choices(self) -> list[Choice]:
        return [Choice(id=one) if isinstance(one, str) else one for one in self.steps]


class Catalogue:
    """All steps and checklists that can be used on a host.

    `lacks_steps`: not every step of the site could be read, so one that is not here may exist.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        checklists: Mapping[str, Checklist],
        *,
        lacks_steps: bool = False,
    ) -> None:
        self.steps = steps
        self.checklists = checklists
        self.lacks_steps = lacks_steps

    def step(self, step_id: str) -> Step:
        """The step of that id. Raises `StepError` that suggests the nearest one."""
        if step_id not in self.steps:
            raise StepError(self.no_step(step_id))
        return self.steps[step_id]

    def no_step(self, step_id: str) -> str:
        """That there is no such step, with the nearest one or where all of them are listed."""
        near = _nearest(step_id, self.steps) or " `steps list --all` has all of them."
        return f"There is no step {step_id!r}.{near}"

    def checklist(self, name: str) -> Checklist:
        """The checklist of that name. Raises `StepError` that suggests the nearest one."""
        if name not in self.checklists:
            raise StepError(f"There is no checklist {name!r}.{_nearest(name, self.checklists)}")
        return self.checklists[name]


def build_resources(step: Step, values: dict[str, Any]) -> list[Resource]:
    """The step's resources with its parameters filled in.

    Raises `StepError` with the step's id and the field.
    """
    built = []
    for number, entry in enumerate(step.ensure, 1):
        if len(entry) != 1:
            raise StepError(f"{step.id}: ensure[{number}]: name exactly one kind of resource")
        name, body = next(iter(entry.items()))
        try:
            built.append(kind(name).parse(step.id, parameters.fill(body, values)))
        except (msgspec.ValidationError, StepError) as error:
            raise StepError(f"{step.id}: ensure[{number}].{name}: {error}") from None
    return built


def load_catalogue(host: Host, left_out: list[str] | None = None) -> Catalogue:
    """Everything that can be used on `host`. Raises `StepError` for the first invalid file.

    Where `left_out` is given, an invalid file is left out instead, and the sentence goes there.
    """
    ours, checklists = built_in()
    added: dict[str, Step] = {}
    lists: dict[str, Checklist] = {}

    def take_step(entry: Entry) -> None:
        step = step_of(entry)
        if step.id in ours or step.id in added:
            raise entry.error(f"there is a step {step.id} already", "$.id")
        check_bodies(entry, step)
        added[step.id] = step

    _take_files(host, SITE_STEPS, take_step, left_out)
    lacks_steps = bool(left_out)
    steps = Extended(ours, added)

    def take_checklist(entry: Entry) -> None:
        checklist = entry.convert(Checklist)
        check_choices(entry, checklist, steps)
        lists[checklist.name] = checklist

    _take_files(host, SITE_CHECKLISTS, take_checklist, left_out)
    return Catalogue(steps, Extended(checklists, lists), lacks_steps=lacks_steps)


@cache
def built_in() -> tuple[BuiltIn[Step], BuiltIn[Checklist]]:
    """The steps and checklists that come with the program, each read when it is asked for."""
    steps = BuiltIn("steps.catalog", "id", step_of)

    def checklist(entry: Entry) -> Checklist:
        return entry.convert(Checklist)

    return steps, BuiltIn("steps.checklists", "name", checklist)


def _take_files(
    host: Host, folder: str, take: Callable[[Entry], None], left_out: list[str] | None
) -> None:
    """Give `take` the entries of the site's files, in the order of their names."""
    try:
        names = host.listdir(folder)
    except HostError as error:
        if left_out is None:
            raise
        left_out.append(str(error))
        return
    for name in names:
        if not name.endswith(".yaml"):
            continue
        try:
            for entry in _site_entries(host, f"{folder}/{name}"):
                take(entry)
        except (StepError, HostError) as error:
            if left_out is None:
                raise
            left_out.append(str(error))


def _site_entries(host: Host, path: str) -> list[Entry]:
    _refuse_foreign(host, path)
    try:
        text = host.read_bytes(path, limit_bytes=LARGEST_FILE_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise StepError(f"{path}:1: not UTF-8 text") from None
    except HostError as error:
        raise StepError(str(error)) from None
    return read_entries(path, text)


def _refuse_foreign(host: Host, path: str) -> None:
    """Step files run as root: whoever can write one is root."""
    parts = path.split("/")
    for depth in range(2, len(parts) + 1):
        place = "/".join(parts[:depth])
        state = host.state(place)
        if state is None:
            continue
        wanted = "file" if place == path else "dir"
        if state.kind != wanted:
            raise StepError(f"{place}: not used, because it is a {state.kind}, not a {wanted}")
        if state.uid != 0 or state.mode & 0o022:
            raise StepError(
                f"{place}: not used, because it must belong to root and be writable by no one else"
            )


def step_of(entry: Entry) -> Step:
    """The step an entry declares. Raises `StepError` with file, line and field."""
    declared = entry.data.get("parameters")
    if isinstance(declared, dict):  # one by one, so that an error can name the line of each
        for name, body in declared.items():
            entry.convert_part(f"$.parameters.{name}", body, Parameter)
    step = entry.convert(Step)
    if not _STEP_ID.fullmatch(step.id):
        raise entry.error("expected something like ssh.root-login", "$.id")
    if not step.ensure:
        raise entry.error("expected at least one resource", "$.ensure")
    for number, resource in enumerate(step.ensure):
        if len(resource) != 1:
            raise entry.error("name exactly one kind of resource", f"$.ensure[{number}]")
        try:
            known(next(iter(resource)))
        except StepError as error:
            raise entry.error(str(error), f"$.ensure[{number}]") from None
    if step.seals and any("tree" not in resource for resource in step.ensure):
        raise entry.error("what seals has resources of the kind tree only", "$.seals")
    for name, parameter in step.parameters.items():
        problem = parameters.problem_of(parameter)
        if problem:
            raise entry.error(problem, f"$.parameters.{name}")
    for field, body in (("ensure", step.ensure), ("answers", step.answers)):
        unknown = sorted(parameters.names_used(body) - set(step.parameters))
        if unknown:
            raise entry.error(f"uses a parameter that is not declared: {unknown[0]}", f"$.{field}")
    return step


def check_bodies(entry: Entry, step: Step) -> None:
    """Read the resources with the defaults, where all have one.

    Raises `StepError` that names the line of a mistake.
    """
    defaults = {
        name: parameters.convert(step.id, name, parameter, parameter.default)
        for name, parameter in step.parameters.items()
        if parameter.default is not None
    }
    for number, resource in enumerate(step.ensure):
        if parameters.names_used(resource) - defaults.keys():
            continue
        name, body = next(iter(resource.items()))
        where = f"$.ensure[{number}].{name}"
        try:
            kind(name).parse(step.id, parameters.fill(body, defaults))
        except msgspec.ValidationError as error:
            message, separator, inner = str(error).partition(" - at `$")
            raise entry.error(
                f"{message} - at `{where}{inner}" if separator else message, where
            ) from None
        except StepError as error:
            raise entry.error(str(error), where) from None


def check_choices(entry: Entry, checklist: Checklist, steps: Mapping[str, Step]) -> None:
    """Raises `StepError` for a step, a parameter or a value that does not exist."""
    seen: set[str] = set()
    for number, choice in enumerate(checklist.choices):
        where = f"$.steps[{number}]"
        if choice.id not in steps:
            raise entry.error(f"there is no step {choice.id!r}.{_nearest(choice.id, steps)}", where)
        if choice.id in seen:
            raise entry.error(f"{choice.id} is listed twice", where)
        seen.add(choice.id)
        for name, value in choice.set.items():
            declared = steps[choice.id].parameters.get(name)
            if declared is None:
                raise entry.error(f"{choice.id} has no parameter {name!r}", where)
            try:
                parameters.convert(choice.id, name, declared, value)
            except StepError as error:
                raise entry.error(str(error), where) from None


def _nearest(name: str, names: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
