"""YAML read strictly, remembering on which line each field stands."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import yaml

from steps.resource import StepError

T = TypeVar("T")

_PATH_PART = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class Entry:
    """One mapping of a YAML file: its data, and the line of every field."""

    def __init__(self, file: str, node: yaml.nodes.Node, data: Any) -> None:
        self.file = file
        self.data = data
        self._node = node

    def line(self, path: str = "$") -> int:
        """The line (from 1) of the field that `path` (as msgspec writes it) leads to."""
        node = self._node
        for match in _PATH_PART.finditer(path):
            name, index = match.groups()
            found = None
            if name is not None and isinstance(node, yaml.nodes.MappingNode):
                found = next((v for k, v in node.value if k.value == name), None)
            elif index is not None and index != "..." and isinstance(node, yaml.nodes.SequenceNode):
                found = node.value[int(index)] if int(index) < len(node.value) else None
            if found is None:
                break
            node = found
        return int(node.start_mark.line) + 1

    def convert(self, kind: type[T]) -> T:
        """The data as a strict struct. Raises `StepError` with file, line and field."""
        try:
            return msgspec.convert(self.data, kind, strict=True)
        except msgspec.ValidationError as error:
            raise self.error(error) from None

    def convert_part(self, path: str, data: Any, kind: type[T]) -> T:
        """A part of the data that stands at `path`, as a strict struct; errors as `convert`."""
        try:
            return msgspec.convert(data, kind, strict=True)
        except msgspec.ValidationError as error:
            message, separator, where = str(error).partition(" - at `")
            inner = where.rstrip("`").removeprefix("$") if separator else ""
            raise self.error(f"{message} - at `{path}{inner}`") from None

    def error(self, problem: msgspec.ValidationError | str, path: str = "$") -> StepError:
        """`problem` with the place where it stands."""
        text = str(problem)
        message, separator, where = text.partition(" - at `")
        if separator:
            path = where.rstrip("`")
        field = path.removeprefix("$").lstrip(".") or "entry"
        unknown = re.search(r"unknown field `([^`]+)`", message)
        if unknown:
            path = f"{path}.{unknown.group(1)}"
        return StepError(f"{self.file}:{self.line(path)}: {field}: {message}")


def read_entries(file: str, text: str) -> list[Entry]:
    """The mappings of a file that is a list of mappings, or one mapping.

    Raises `StepError` for anything else: not YAML, a field given twice, an alias.
    """
    loader = yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return []
        _refuse_repeats(file, node)
        nodes = node.value if isinstance(node, yaml.nodes.SequenceNode) else [node]
        entries = []
        for item in nodes:
            if not isinstance(item, yaml.nodes.MappingNode):
                line = item.start_mark.line + 1
                raise StepError(
                    f"{file}:{line}: expected a mapping with an id, found something else"
                )
            entries.append(Entry(file, item, loader.construct_document(item)))
        return entries
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "not readable as YAML"
        raise StepError(f"{file}:{line}: not valid YAML: {problem}") from None
    finally:
        loader.dispose()


def _refuse_repeats(file: str, node: yaml.nodes.Node, seen: set[int] | None = None) -> None:
    seen = set() if seen is None else seen
    if id(node) in seen and not isinstance(node, yaml.nodes.ScalarNode):
        line = node.start_mark.line + 1
        raise StepError(f"{file}:{line}: anchors and aliases are not allowed here")
    seen.add(id(node))
    if isinstance(node, yaml.nodes.SequenceNode):
        for item in node.value:
            _refuse_repeats(file, item, seen)
    elif isinstance(node, yaml.nodes.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            if key.value in names:
                raise StepError(
                    f"{file}:{key.start_mark.line + 1}: {key.value}: given twice in one mapping"
                )
            names.add(key.value)
            _refuse_repeats(file, value, seen)
