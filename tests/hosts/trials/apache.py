"""TLS, certificates, ports and the web application firewall of a real Apache."""

from __future__ import annotations

import json

from tests.hosts.lab import LabHost
from tests.hosts.program import details, harden, history
from tests.hosts.trials.trial import Answers, Trial

NAME = "www.example.org"
SITE = "/etc/apache2/sites-available/shop.conf"
SITE_TLS = "/etc/apache2/sites-available/shop-tls.conf"
KEY, CERTIFICATE = "/etc/ssl/private/shop.key", "/etc/ssl/certs/shop.pem"

_SHAKE = """
import json, socket, ssl, sys
found = {}
for label, first, last, ciphers in json.loads(sys.argv[1]):
    context = ssl._create_unverified_context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion[first], ssl.TLSVersion[last]
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    try:
        with socket.create_connection(("127.0.0.1", 443), 5) as plain:
            with context.wrap_socket(plain, server_hostname=sys.argv[2]) as secured:
                found[label] = [secured.version(), secured.cipher()[0]]
    except OSError as error:
        found[label] = None
print(json.dumps(found))
"""

_ASK = """
import http.client, json, socket, ssl, sys
name, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl._create_unverified_context()
if len(sys.argv) > 4:
    context.load_cert_chain(sys.argv[4], sys.argv[5])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
connection.connect()
if port == 443:
    connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
connection.request("GET", path, headers={"Host": name})
answer = connection.getresponse()
print(json.dumps([answer.status, answer.getheader("Location") or ""]))
"""


def ask(host: LabHost, name: str, path: str = "/", port: int = 80, *more: str) -> tuple[int, str]:
    """Status and Location of a page, asked from inside the host, where names need no DNS."""
    status, location = json.loads(host.out("python3", "-c", _ASK, name, str(port), path, *more))
    return status, location


def shake(
    host: LabHost, *offers: tuple[str, str, str, str], name: str = NAME
) -> dict[str, list[str] | None]:
    """Label -> version and suite agreed on, or nothing where it was refused.

    An offer is a label, the first and the last version, and suites.
    """
    found: dict[str, list[str] | None] = json.loads(
        host.out("python3", "-c", _SHAKE, json.dumps(offers), name)
    )
    return found


def reload(host: LabHost) -> None:
    """A graceful restart, which `systemctl reload` does not wait for."""
    host.run("systemctl", "reload", "apache2")
    host.run("sleep", "1")


def plain_site(host: LabHost) -> None:
    host.write("/var/www/shop/index.html", "shop\n")
    host.write(
        SITE,
        f"<VirtualHost *:80>\n    ServerName {NAME}\n    DocumentRoot /var/www/shop\n"
        "</VirtualHost>\n",
    )
    host.run("a2ensite", "-q", "shop")
    reload(host)


def tls_site(host: LabHost, *lines: str) -> None:
    """A second virtual host of the same name that speaks TLS with a certificate of its own."""
    plain_site(host)
    host.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj",
        f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", KEY, "-out", CERTIFICATE,
    )  # fmt: skip
    inside = "".join(
        f"    {line}\n"
        for line in (
            f"ServerName {NAME}", "DocumentRoot /var/www/shop", "SSLEngine on",
            f"SSLCertificateFile {CERTIFICATE}", f"SSLCertificateKeyFile {KEY}", *lines,
        )
    )  # fmt: skip
    host.write(SITE_TLS, f"<VirtualHost *:443>\n{inside}</VirtualHost>\n")
    host.run("a2enmod", "-q", "ssl")
    host.run("a2ensite", "-q", "shop-tls")
    reload(host)


def no_site(host: LabHost) -> None:
    host.run("a2dissite", "-q", "shop", "shop-tls", check=False)
    host.run("a2dismod", "-q", "-f", "ssl", check=False)
    host.run("rm", "-rf", SITE, SITE_TLS, KEY, CERTIFICATE, "/var/www/shop")
    reload(host)


def _loose_tls(host: LabHost) -> None:
    tls_site(host, "SSLProtocol all", "SSLCipherSuite ALL:@SECLEVEL=0", "SSLSessionTickets on")


def _tls(host: LabHost) -> Answers:
    found = shake(
        host,
        ("old", "TLSv1", "TLSv1_1", "ALL"),
        ("weak", "TLSv1_2", "TLSv1_2", "AES128-SHA:AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA384"),
        ("good", "TLSv1_2", "TLSv1_2", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("newest", "TLSv1_3", "TLSv1_3", "ALL"),
    )

    def group(name: str) -> bool:
        done = host.run(
            "openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", NAME, "-groups",
            name, check=False,
        )  # fmt: skip
        return done.returncode == 0

    text = host.out("cat", "/etc/apache2/conf-enabled/zz-harden-tui-apache.tls.conf")
    return [
        ("TLS 1.1 and older are refused", found["old"] is None),
        ("suites without forward secrecy are refused", found["weak"] is None),
        ("TLS 1.2 answers", found["good"] == ["TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"]),
        ("TLS 1.3 answers", (found["newest"] or [""])[0] == "TLSv1.3"),
        ("X25519 is taken and P-521 is not", group("X25519") and not group("P-521")),
        ("the curve for OpenSSL 3.5 only there", ("MLKEM" in text) == (host.suite == "trixie")),
        ("the site answers", ask(host, NAME, "/", 443) == (200, "")),
    ]


def _certificate(host: LabHost) -> Answers:
    def served(name: str) -> str:
        return host.run(
            "sh", "-c", "openssl s_client -connect 127.0.0.1:443 -servername $1 </dev/null"
            " | openssl x509 -noout -text -checkend 2592000", "sh", name,
        ).stdout  # fmt: skip

    text = served(NAME)
    key = "/etc/ssl/private/harden-tui-apache.key"
    pair = ("openssl", "pkey", "-in", key, "-pubout")
    shown = ("openssl", "x509", "-in", "/etc/ssl/certs/harden-tui-apache.pem", "-noout", "-pubkey")
    return [
        ("the certificate is for the name", f"DNS:{NAME}" in text),
        ("it does not run out within a month", "Certificate will not expire" in text),
        ("its key and its hash are good", "(256 bit)" in text and "ecdsa-with-SHA256" in text),
        ("the key is that of the certificate", host.out(*pair) == host.out(*shown)),
        ("nobody else reads the key", host.out("stat", "-c", "%a %U", key) == "600 root"),
        ("the site answers over TLS", ask(host, NAME, "/", 443) == (200, "")),
        ("so does the first site, for every other name", ask(host, "other", "/", 443)[0] == 200),
        ("and all as before without", ask(host, NAME) == (200, "")),
    ]


LONELY = "plain.example.org"


def _both_ways(host: LabHost) -> None:
    """A site of one name with and without TLS, beside one that has no certificate."""
    tls_site(host)
    host.write(
        "/etc/apache2/sites-available/lonely.conf",
        f"<VirtualHost *:80>\n    ServerName {LONELY}\n    DocumentRoot /var/www/shop\n"
        "</VirtualHost>\n",
    )
    host.run("a2ensite", "-q", "lonely")
    host.write("/var/www/shop/.htaccess", "RewriteEngine On\nRewriteRule ^page$ index.html\n")
    host.write("/var/www/shop/.well-known/acme-challenge/token", "proof\n")
    reload(host)


def _one_way(host: LabHost) -> None:
    host.run("a2dissite", "-q", "lonely", check=False)
    host.run("rm", "-f", "/etc/apache2/sites-available/lonely.conf")
    no_site(host)


def _redirect(host: LabHost) -> Answers:
    return [
        ("the site sends visitors on", ask(host, NAME) == (301, f"https://{NAME}/")),
        (
            "with the whole address, a question too",
            ask(host, NAME, "/page?a=1&b=%20c") == (301, f"https://{NAME}/page?a=1&b=%20c"),
        ),
        ("https answers", ask(host, NAME, "/", 443) == (200, "")),
        ("a name without https is left alone", ask(host, LONELY) == (200, "")),
        ("certbot's file comes without TLS",
         ask(host, NAME, "/.well-known/acme-challenge/token") == (200, "")),
    ]  # fmt: skip


def _more_ports(host: LabHost) -> None:
    text = host.out("cat", "/etc/apache2/ports.conf")
    host.write("/etc/apache2/ports.conf", f"{text}\nListen 8080\nListen 127.0.0.1:8081\n")
    reload(host)


def _usual_ports(host: LabHost) -> None:
    text = host.out("cat", "/etc/apache2/ports.conf").partition("\nListen 8080")[0]
    host.write("/etc/apache2/ports.conf", f"{text}\n")
    reload(host)


def _listen(host: LabHost) -> Answers:
    open_ports = host.out("ss", "-H", "-tln")
    return [
        ("nothing listens on 8080", ":8080 " not in open_ports),
        ("the backend on loopback stays", "127.0.0.1:8081 " in open_ports),
        ("the sites answer", host.http("/index.html").status == 200),
    ]


STOPS_QUICKLY = "/run/systemd/system/apache2.service.d/quick.conf"


def _quick_stops(host: LabHost) -> None:
    """Where the outer machine has cgroups of version 1, systemd waits 90 s in a container for
    processes that are gone already, at every restart."""
    script = 'mkdir -p "${1%/*}" && printf "[Service]\\nTimeoutStopSec=2\\n" > "$1"'
    host.run("sh", "-c", script, "sh", STOPS_QUICKLY)  # /run is the host's own, not below its root
    host.run("systemctl", "daemon-reload")


def _usual_stops(host: LabHost) -> None:
    host.run("rm", "-f", STOPS_QUICKLY)
    host.run("systemctl", "daemon-reload")


ATTACK = "/index.html?name=%3Cscript%3Ealert(document.cookie)%3C/script%3E"
SET = ("--set", "apache.modsecurity.mode=block")


def _modsecurity(host: LabHost) -> Answers:
    """It watches; then it is told to block and does, and that is taken back again."""
    watched = host.http(ATTACK).status
    logged = host.out("grep", "-c", "ARGS:name: <script>", "/var/log/apache2/error.log")
    found = details(host, "apache.modsecurity")["steps"][0]["findings"]
    told = " ".join(one["note"] for one in found if "would have" in one["setting"])
    harden(host, "apply", "apache.modsecurity", *SET, "--yes")
    blocked = host.http(ATTACK).status
    harmless = host.http("/index.html").status
    harden(host, "rollback", history(host)[-1]["id"], "--yes")
    return [
        ("an attack is let through while it watches", watched == 200),
        ("and logged", int(logged) > 0),
        ("what it would have stopped is shown", "941100" in told),
        ("an attack is refused once it blocks", blocked == 403),
        ("everything else is answered", harmless == 200),
        ("and let through again after that is taken back", host.http(ATTACK).status == 200),
    ]


AUTHORITY = "/etc/ssl/clients.pem"
_CLIENT = ("/root/client.pem", "/root/client.key")


def _clients(host: LabHost) -> None:
    """A site over TLS only, an authority, and a client it signed for."""
    tls_site(host, "<Location /status>", "    Require all granted", "</Location>")
    host.run("a2dissite", "-q", "shop")
    reload(host)
    host.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj",
        "/CN=Clients", "-keyout", "/root/authority.key", "-out", AUTHORITY,
    )  # fmt: skip
    host.run(
        "openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=alice", "-keyout",
        _CLIENT[1], "-out", "/root/client.csr",
    )  # fmt: skip
    host.run(
        "openssl", "x509", "-req", "-in", "/root/client.csr", "-CA", AUTHORITY, "-CAkey",
        "/root/authority.key", "-set_serial", "1", "-days", "9", "-out", _CLIENT[0],
    )  # fmt: skip


def _no_clients(host: LabHost) -> None:
    names = ("authority.key", "client.pem", "client.key", "client.csr")
    host.run("rm", "-f", AUTHORITY, *(f"/root/{name}" for name in names))
    no_site(host)


def _client_certificates(host: LabHost) -> Answers:
    return [
        ("who has no certificate is refused", ask(host, NAME, "/", 443)[0] == 403),
        ("who has one is let in", ask(host, NAME, "/", 443, *_CLIENT)[0] == 200),
        ("the exception asks nobody", ask(host, NAME, "/open/x", 443)[0] == 404),
        ("other sites ask nobody", ask(host, "localhost")[0] == 200),
    ]


TRIALS = (
    Trial(step="apache.tls", furnish=_loose_tls, holds=_tls, tidy=no_site),
    Trial(
        step="apache.certificate",
        furnish=plain_site,
        holds=_certificate,
        given=("--set", "apache.certificate.sites-without=self-signed"),
        tidy=no_site,
    ),
    Trial(step="apache.https-redirect", furnish=_both_ways, holds=_redirect, tidy=_one_way),
    Trial(step="apache.listen", furnish=_more_ports, holds=_listen, tidy=_usual_ports),
    Trial(
        step="apache.modsecurity",
        furnish=_quick_stops,
        holds=_modsecurity,
        given=("--set", "apache.modsecurity.mode=detect"),
        tidy=_usual_stops,
    ),
    Trial(
        step="apache.client-certificates",
        furnish=_clients,
        holds=_client_certificates,
        given=(
            "--set",
            f"apache.client-certificates.sites={NAME}",
            "--set",
            f"apache.client-certificates.authority={AUTHORITY}",
            "--set",
            "apache.client-certificates.except=/open",
        ),
        tidy=_no_clients,
    ),
)
