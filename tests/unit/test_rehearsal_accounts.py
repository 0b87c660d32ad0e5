"""What useradd, usermod, chage and chpasswd would make of the accounts, before they run."""

from __future__ import annotations

from host.facts.login import parse_accounts
from snapshots.model import Change, RunCommand
from steps.guard_accounts import foreseen

FILES = {
    "/etc/passwd": "root:x:0:0::/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "/etc/shadow": "root:$y$a:20000:0:99999:7:::\nalice:$y$b:20000:0:99999:7:::\n",
    "/etc/group": "root:x:0:\nsudo:x:27:alice\nalice:x:1000:\n",
}


def command(line: str, stdin: str = "") -> Change:
    return RunCommand(argv=tuple(line.split()), why="", stdin=stdin.encode())


def after(*changes: Change) -> dict[str, str]:
    found = foreseen(changes, FILES.get)
    return {path: text or "" for path, text in found.items()}


def test_a_new_administrator_is_known_to_the_rehearsal() -> None:
    texts = after(
        command("useradd --create-home --home-dir /home/anna --shell /bin/bash --uid 1001"
                " --user-group --groups sudo anna"),
        command("chpasswd", "anna:not a hash\n"),
    )  # fmt: skip
    accounts = parse_accounts(texts["/etc/passwd"], texts["/etc/group"], texts["/etc/shadow"])
    anna = accounts["anna"]
    assert (anna.groups, anna.password) == (("anna", "sudo"), "usable")
    assert (anna.home, anna.has_shell, anna.expired(20000)) == ("/home/anna", True, False)
    assert accounts["alice"].groups == ("alice", "sudo")
    assert "not a hash" not in "".join(texts.values())


def test_what_usermod_and_chage_would_change() -> None:
    texts = after(
        command("usermod --lock root"),
        command("usermod --lock root"),
        command("usermod --shell /usr/sbin/nologin alice"),
        command("usermod --append --groups root alice"),
        command("chage --maxdays 30 --mindays 1 --warndays 7 --inactive 5 alice"),
    )
    accounts = parse_accounts(texts["/etc/passwd"], texts["/etc/group"], texts["/etc/shadow"])
    assert accounts["root"].password == "locked"
    assert "root:!$y$a:" in texts["/etc/shadow"]
    alice = accounts["alice"]
    assert not alice.has_shell
    assert "root" in alice.groups
    assert alice.expired(20036)
    assert not alice.expired(20035)


def test_other_commands_leave_the_files_out_of_it() -> None:
    assert after(command("a2enmod headers"), command("useradd --defaults --inactive 45")) == {}
