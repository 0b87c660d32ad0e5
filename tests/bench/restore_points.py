"""What restore points cost: a capture of /etc, and a hundred transactions on the disk."""

from __future__ import annotations

import json
from statistics import median

from tests.bench.figures import Row, at_most
from tests.bench.hosts import BenchHost

TRANSACTIONS = 100

SCRIPT = """
import json, sys, time

sys.path.insert(0, "/usr/lib/harden-tui")
from pathlib import Path

from host.local import LocalHost
from snapshots import opening
from snapshots.capture import Keeper
from snapshots.domains.base import Scope
from snapshots.model import WriteFile
from snapshots.progress import Silent
from snapshots.state import StateDir

rounds, count = int(sys.argv[1]), int(sys.argv[2])
host, state = LocalHost(), StateDir(Path("/srv/points/state"), Path("/srv/points/log"))
kinds = {"files": [], "all": []}
for number in range(rounds + 1):
    keeper = Keeper(host, state)
    began = time.perf_counter()
    keeper.files.capture(host, Scope())
    files = time.perf_counter() - began
    began = time.perf_counter()
    keeper.capture((), Silent())
    if number:  # the first one stores every content
        kinds["files"].append(files)
        kinds["all"].append(time.perf_counter() - began)
    keeper.store.sync()
for number in range(count):
    tx = opening.begin(
        host, state, steps=(f"site.n{number}",), title="bench", user="root", progress=Silent()
    )
    path = f"/etc/apache2/conf-available/n{number % 7}.conf"
    tx.perform(WriteFile(path=path, content=b"# %d\\n" % number * 50))
    tx.commit()
print(json.dumps(kinds))
"""


def measure(host: BenchHost, rounds: int) -> list[Row]:
    """On the host's own root, in a state directory of its own."""
    host.run("mkdir", "-p", "/srv/points")
    told = host.run(
        "python3", "-I", "-", str(2 * rounds + 1), str(TRANSACTIONS), stdin=SCRIPT, timeout_s=1800
    ).stdout
    times = json.loads(told)
    kib = int(host.out("du", "-sk", "/srv/points/state").split()[0])
    files = int(host.out("sh", "-c", "find /etc | wc -l"))
    return [
        at_most(f"capture of /etc ({files} entries)", median(times["files"]), "s", 0.3),
        at_most("… with units, packages, kernel and firewall", median(times["all"]), "s", None),
        at_most(f"{TRANSACTIONS} transactions on the disk", kib / 1024, "MB", 50),
    ]
