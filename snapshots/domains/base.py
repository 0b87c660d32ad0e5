"""What a kind of state must be able to do: say what is, and make it what was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from host.base import Host
from snapshots.model import DomainName, Item, Root
from snapshots.progress import Progress


class Scope(msgspec.Struct, frozen=True):
    """How far a capture goes: all of /etc always, and these trees of the steps.

    `seen_since_s`: of a tree without content a walk will do that began after this moment
    (`time.monotonic`), see `Host.walked`; `None`: it is looked at now.
    """

    roots: tuple[Root, ...] = ()
    seen_since_s: float | None = None


class Domain(ABC):
    """A kind of state. Built once per transaction, with no argument unless it needs one."""

    name: ClassVar[DomainName]

    @abstractmethod
    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        """Everything of this kind on the host, by key; asks only.

        A program that is not installed means an empty answer. Raises `HostError` where the state
        exists but cannot be read: an incomplete capture must not pass for a complete one.
        """

    @abstractmethod
    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        """Make these keys what they were (`None`: absent) and leave every other key alone.

        Doing it twice does no harm. Raises `HostError` naming the key that would not come back.
        """
