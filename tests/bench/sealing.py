"""Sealing and unsealing 50,000 files against what administrators type for it."""

from __future__ import annotations

from tests.bench.figures import Row, at_most, faster, in_turn, slower
from tests.bench.hosts import DISK, BenchHost
from tests.bench.memory import watching

FILES = 50_000
TREE = f"{DISK}/i-doit"
CHOSEN = ("--checklist", "i-doit", "--set", f"app.tree.path={TREE}", "app.tree", "--yes")

GROW = """
import os, sys
root, files = sys.argv[1], int(sys.argv[2])
for number in range(files // 50):
    directory = f"{root}/src/m{number // 50:02}/p{number % 50:02}"
    os.makedirs(directory)
    for name in range(50):
        with open(f"{directory}/f{name:02}.php", "w") as file:
            file.write("<?php\\n")
for name in ("log", "imports", "temp", "upload/files"):
    os.makedirs(f"{root}/{name}")
"""


def measure(host: BenchHost, rounds: int) -> list[Row]:
    """Ours, one program a file, and the recursive tools, in turn on the same tree."""
    host.run("python3", "-c", GROW, TREE, str(FILES))
    host.run("chown", "-R", "www-data:www-data", TREE)
    host.run("sync")
    peaks: dict[str, int] = {}

    def ours() -> float:
        took = 0.0
        settle()
        for command, flags in (("apply", "i"), ("rollback", "-")):
            took += host.seconds("harden-tui", command, *CHOSEN)
            _require(host, flags)
        return took

    def settle() -> None:
        """Nobody waits for what the one before left to be written."""
        host.run("sync")

    def remembered() -> float:
        for command in ("apply", "rollback"):
            with watching(host, "/tui/worker.py") as peak:
                host.run("harden-tui", command, *CHOSEN)
            peaks[command] = peak()
        return 0.0

    def one_by_one() -> float:
        settle()
        return sum(
            host.seconds("find", TREE, "-type", kind, "-exec", "chmod", mode, "{}", ";")
            for kind, mode in (("d", "0550"), ("f", "0440"), ("d", "0755"), ("f", "0644"))
        )

    def recursive() -> float:
        settle()
        return sum(
            host.seconds(*words, TREE)
            for words in (
                ("chmod", "-R", "u=rX,g=rX,o="), ("chattr", "-R", "+i"),
                ("chattr", "-R", "-i"), ("chmod", "-R", "u=rwX,go=rX"),
            )
        )  # fmt: skip

    remembered()
    mine, theirs, tools = in_turn(rounds, ours, one_by_one, recursive)
    return [
        faster("sealing and unsealing 50,000 files, against find -exec chmod", mine, theirs, 25),
        slower("… against chmod -R and chattr -R", mine, tools, 4),
        at_most("memory of the worker that seals them", peaks["apply"] / 1024, "MB", 60),
        at_most("memory of the worker that unseals them", peaks["rollback"] / 1024, "MB", 60),
    ]


def _require(host: BenchHost, flag: str) -> None:
    """Raise where a file of the tree is not sealed ("i") or not unsealed ("-")."""
    shown = host.out("lsattr", f"{TREE}/src/m00/p00/f00.php").split()[0]
    if ("i" in shown) != (flag == "i"):
        raise AssertionError(f"the tree has the flags {shown}")


def file_system(host: BenchHost) -> str:
    """What the tree lies on."""
    return host.out("findmnt", "-n", "-o", "FSTYPE", "-T", DISK)
