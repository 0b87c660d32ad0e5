"""YAML read strictly, remembering on which line each field stands."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import yaml

from steps.resource import StepError

T = TypeVar("T")

LARGEST_DEPTH = 32
"""The deepest field of our own files lies 7 mappings and lists deep; far more is a mistake, or
an attempt to exhaust the memory of whoever reads it."""

SAFE_LENGTH = 16 * 1024
"""Text of so few characters cannot nest deep enough to overflow the C stack: 20,000 levels do not,
measured with libyaml 0.2.5."""

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_TEXT = "tag:yaml.org,2002:str"
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

    Raises `StepError` for anything else: not YAML, a field given twice, an alias, a tag, a name
    that is no text, nesting deeper than `LARGEST_DEPTH`.
    """
    loader = _LOADER(text)
    try:
        if len(text) > SAFE_LENGTH:
            _refuse_depth(file, text)
        node = loader.get_single_node()
        if node is None:
            return []
        _Strict(file, loader).accept(node)
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


def _refuse_depth(file: str, text: str) -> None:
    """Count levels without descending: libyaml's own descent would overflow the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
            if depth > LARGEST_DEPTH:
                mark = event.start_mark
                raise _too_deep(file, mark.line + 1 if mark is not None else 1)
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1


def _too_deep(file: str, line: int) -> StepError:
    return StepError(f"{file}:{line}: nested more than {LARGEST_DEPTH} levels deep")


class _Strict:
    """What YAML allows and our files do not: there it would be a slip of the pen, or a trap."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._seen: set[int] = set()

    def accept(self, node: yaml.nodes.Node, depth: int = 1) -> None:
        """Raises `StepError` with the line."""
        if depth > LARGEST_DEPTH:
            raise _too_deep(self._file, node.start_mark.line + 1)
        if isinstance(node, yaml.nodes.ScalarNode):
            self._accept_scalar(node)
            return
        if id(node) in self._seen:
            raise self._error(node, "anchors and aliases are not allowed here")
        self._seen.add(id(node))
        self._refuse_tag(node, (True, False))
        if isinstance(node, yaml.nodes.SequenceNode):
            for item in node.value:
                self.accept(item, depth + 1)
        elif isinstance(node, yaml.nodes.MappingNode):
            self._accept_names([key for key, _ in node.value])
            for _, value in node.value:
                self.accept(value, depth + 1)

    def _accept_names(self, keys: list[yaml.nodes.Node]) -> None:
        names: set[str] = set()
        for key in keys:
            if not isinstance(key, yaml.nodes.ScalarNode):
                raise self._error(key, "a list or mapping cannot be a name")
            if key.tag != _TEXT:
                raise self._error(key, f"{key.value}: a name must be text; put it in quotes")
            if key.value in names:
                raise self._error(key, f"{key.value}: given twice in one mapping")
            names.add(key.value)

    def _accept_scalar(self, node: yaml.nodes.ScalarNode) -> None:
        plain = not node.style  # libyaml says "", PyYAML itself None
        self._refuse_tag(node, (plain, not plain))
        if node.tag == _TEXT:
            return
        try:
            self._loader.construct_object(node)
        except (ValueError, OverflowError):  # 2026-02-31, or a number of 5,000 digits
            kind = node.tag.rpartition(":")[2]
            raise self._error(
                node, f"{node.value[:40]} is no valid {kind}; put it in quotes if it is text"
            ) from None

    def _refuse_tag(self, node: yaml.nodes.Node, implicit: tuple[bool, bool]) -> None:
        value = node.value if isinstance(node, yaml.nodes.ScalarNode) else None
        if node.tag != self._loader.resolve(type(node), value, implicit):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(node, f"tags such as {tag} are not allowed here")

    def _error(self, node: yaml.nodes.Node, problem: str) -> StepError:
        return StepError(f"{self._file}:{node.start_mark.line + 1}: {problem}")
