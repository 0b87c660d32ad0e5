"""What is around a host: a proxy that apt really goes through, a network that sshd lets in."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial

PROXY = "http://127.0.0.1:3199/"
SCRIPT = "/run/proxy.py"
LOG = "/run/proxy.log"
LIST = "/etc/apt/sources.list.d/far.list"
SERVE = (
    "import http.server as s\n"
    "class H(s.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    f"        open('{LOG}', 'a').write(self.path + '\\n')\n"
    "        self.send_error(404)\n"
    "s.HTTPServer(('127.0.0.1', 3199), H).serve_forever()\n"
)


def _proxy(host: LabHost) -> None:
    """A proxy that notes what it is asked for."""
    host.run("tee", SCRIPT, stdin=SERVE)
    host.run("systemd-run", "-q", "--collect", "--unit=proxy", "python3", SCRIPT)
    host.run("sh", "-c", "until ss -Hltn 'sport = :3199' | grep -q .; do sleep 0.1; done")


def _no_proxy(host: LabHost) -> None:
    host.run("systemctl", "stop", "proxy.service")
    host.run("rm", "-f", LOG, SCRIPT)


def _through_it(host: LabHost) -> Answers:
    host.write(LIST, "deb [trusted=yes] http://far.example/debian stable main\n")
    host.run("apt-get", "update", "-o", f"Dir::Etc::sourcelist={LIST}", check=False)
    host.run("rm", LIST)
    asked = host.run("cat", LOG, check=False).stdout
    config = host.out("apt-config", "dump")
    return [
        ("apt says it", f'Acquire::http::Proxy "{PROXY}";' in config),
        ("for https too", f'Acquire::https::Proxy "{PROXY}";' in config),
        ("apt asks the proxy", "http://far.example/debian/dists/stable/InRelease" in asked),
    ]


DROP_IN = "/etc/ssh/sshd_config.d/10-lab.conf"


def _from_one_network(host: LabHost) -> None:
    host.write(DROP_IN, "AllowUsers *@10.77.0.0/16\n")
    host.run("systemctl", "reload", "ssh")


def _from_anywhere(host: LabHost) -> None:
    host.run("rm", DROP_IN)
    host.run("systemctl", "reload", "ssh")


def _let_in(host: LabHost) -> Answers:
    return [
        ("sshd lets in from there only", "allowusers *@10.77.0.0/16" in host.out("sshd", "-T")),
        ("who is there comes in", host.can_log_in()),
    ]


def _of_a_container(host: LabHost) -> Answers:
    return [("it is a container", host.out("systemd-detect-virt") == "systemd-nspawn")]


def _elsewhere(host: LabHost) -> Answers:
    vendor = host.run("cat", "/sys/class/dmi/id/sys_vendor", check=False).stdout
    return [("its firmware is not Amazon's", vendor.strip() != "Amazon EC2")]


AWS = ("metadata", "security-groups", "storage-encryption", "trail", "waf", "keys")

TRIALS = (
    *(
        Trial(step=f"aws.{name}", holds=_elsewhere, before="not-applicable", changes=False)
        for name in AWS
    ),
    Trial(
        step="surroundings.proxy",
        furnish=_proxy,
        tidy=_no_proxy,
        holds=_through_it,
        given=("--set", f"surroundings.proxy.proxy={PROXY}"),
    ),
    Trial(
        step="surroundings.admin-network",
        furnish=_from_one_network,
        tidy=_from_anywhere,
        holds=_let_in,
        before="pass",
        changes=False,
        given=("--set", "surroundings.admin-network.networks=10.77.0.0/16"),
    ),
    Trial(
        step="surroundings.hardware", holds=_of_a_container, before="manual", changes=False,
    ),
)  # fmt: skip
