"""The modules that a2enmod knows: their .load files in mods-available."""

from __future__ import annotations

import re

import msgspec

from host.base import Host
from host.facts.apache import FOLDER
from host.facts.base import Fact, Facts


class Module(msgspec.Struct, frozen=True):
    """A module that Debian's a2enmod knows, from its .load file.

    `module`: "status_module"; `shared_object`: "mod_status.so"; `depends`: names of modules.
    """

    name: str
    module: str
    shared_object: str
    depends: tuple[str, ...]


def parse_load(name: str, text: str) -> Module | None:
    """A file of mods-available: "# Depends: proxy" and "LoadModule proxy_fcgi_module /…/mod_….so".

    `None` where it loads nothing.
    """
    depends = re.search(r"^#\s*Depends:(.*)$", text, re.MULTILINE)
    found = re.search(r"^\s*LoadModule\s+(\S+)\s+\S*?([^/\s]+\.so)\b", text, re.MULTILINE)
    if not found:
        return None
    needed = tuple(depends.group(1).replace(",", " ").split()) if depends else ()
    return Module(name, found.group(1), found.group(2), needed)


def _read_available(host: Host, facts: Facts) -> dict[str, Module]:
    found = {}
    for path in host.glob(f"{FOLDER}/mods-available/*.load"):
        name = path.rsplit("/", 1)[1].removesuffix(".load")
        module = parse_load(name, host.read_bytes(path).decode("utf-8", "replace"))
        if module:
            found[name] = module
    return found


AVAILABLE: Fact[dict[str, Module]] = Fact("apache-modules-available", _read_available)
