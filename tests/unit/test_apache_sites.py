"""Certificates, the way to https, ports and client certificates, on recorded answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Port
from host.facts.apache import APACHE
from host.facts.x509 import parse_pem
from steps.model import MeantAnswer
from steps.resource import StepError
from steps.resources import apache_certificate
from steps.resources.apache_certificate import ApacheCertificate
from steps.resources.apache_certificate_plan import CERTIFICATE
from steps.resources.apache_clients import ApacheClients
from steps.resources.apache_listen import ApacheListen
from steps.resources.apache_redirect import ApacheRedirect
from steps.resources.apache_site import with_line, without_tls
from steps.resources.php_probe import _places
from tests.unit.test_apache_resources import commands, written
from tests.unit.test_apache_tls import NAME, TlsHost, by_setting
from tests.unit.web_host import RECORDED, RELEASES, page

KEY, SHOP = "/etc/ssl/private/shop.key", "/etc/ssl/certs/shop.pem"
SITE = "/etc/apache2/sites-available/shop.conf"
SITE_TLS = "/etc/apache2/sites-available/shop-tls.conf"
DEFAULT = "/etc/apache2/sites-enabled/000-default.conf"
REDIRECT = "/etc/apache2/conf-available/zz-harden-tui-apache.https-redirect.conf"
CLIENTS = "/etc/apache2/conf-available/zz-harden-tui-apache.client-certificates.conf"


class SiteHost(TlsHost):
    """The recorded site with its key, in the week after it was made."""

    def __init__(self, release: str) -> None:
        super().__init__(release)
        folder = RECORDED / release / "apache-tls"
        self.release = release
        self.files[KEY] = "a key"
        self.files[DEFAULT] = "<VirtualHost *:80>\n\t# a comment\n\n\tDocumentRoot /var/www/html\n"
        self.files[DEFAULT] += "</VirtualHost>\n"
        self.programs["openssl"] = lambda argv: (0, (folder / "pubkey.txt").read_text())
        self.programs["getent"] = lambda argv: (0, "ssl-cert:x:105:\n")
        self.trust = "self-signed certificate"
        self.listening: tuple[Port, ...] = ()

    def ports(self) -> tuple[Port, ...]:
        return self.listening


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SiteHost:
    made = SiteHost(request.param)
    (shop,) = parse_pem(made.files[SHOP].encode())
    monkeypatch.setattr(
        apache_certificate, "time", type("Clock", (), {"time": lambda: shop.not_before_s + 86400})
    )
    return made


def certificates(**more: object) -> ApacheCertificate:
    return ApacheCertificate.parse("apache.certificate", {"sites-without": "nothing", **more})


def test_what_is_served_and_what_the_files_hold(host: SiteHost) -> None:
    found = by_setting(certificates().observe(host.context()))
    label = f"apache {NAME}:443"
    assert found[label, "valid until"].ok is True
    assert (found[label, "names"].running, found[label, "names"].ok) == (NAME, True)
    assert found[label, "key"].running == "RSA 2048"
    assert found[label, "chain"].ok is False
    assert "own-authority" in found[label, "chain"].note
    assert found[f"apache {NAME}", SHOP].ok is True
    assert found[f"apache {NAME}", "key matches"].ok is True
    mode = found[f"apache {NAME}", f"mode of {KEY}"]
    assert (mode.ok, mode.running, mode.origin.rpartition(":")[0]) == (
        False, "0644", "/etc/apache2/sites-enabled/shop-tls.conf",
    )  # fmt: skip
    bare = found["apache *:80", "certificate"]
    assert (bare.ok, bare.origin) == (False, f"{DEFAULT}:1")
    assert "self-signed" in bare.note and "certbot" in bare.note


def test_an_authority_of_ones_own_is_fine_where_it_was_chosen(host: SiteHost) -> None:
    found = by_setting(certificates(**{"own-authority": True}).observe(host.context()))
    assert found[f"apache {NAME}:443", "chain"].ok is True


def test_a_certificate_that_ends_or_is_for_another_name(host: SiteHost) -> None:
    chain = (RECORDED / host.release / "apache-tls" / "chain.pem").read_bytes()
    import ssl

    first = chain[: chain.index(b"-----END") + 25].decode() + "\n"
    host.chain = (ssl.PEM_cert_to_DER_cert(first),)
    found = by_setting(certificates(**{"days-left": 90}).observe(host.context()))
    assert found[f"apache {NAME}:443", "valid until"].ok is False
    assert found[f"apache {NAME}:443", "names"].ok is True  # *.example.org is for it
    stored = found[f"apache {NAME}", SHOP]
    assert stored.ok is False and "reload Apache" in stored.note
    assert [a.how for a in certificates().plan(host.context()).activations] == ["reload"]


def test_nothing_is_made_before_somebody_chose(host: SiteHost) -> None:
    planned = certificates().plan(host.context())
    assert commands(planned) == [("chmod", "u=rw,g-wx,o=", KEY)]
    assert any("stay without a certificate" in note for note in planned.notes)


def test_a_site_without_gets_the_same_lines_over_tls(host: SiteHost) -> None:
    host.programs["openssl"] = lambda argv: (0, "")
    planned = certificates(**{"sites-without": "self-signed"}).plan(host.context())
    (text,) = (text for path, text in written(planned).items() if "sites-available" in path)
    assert text.splitlines()[1:] == [
        "<IfModule mod_ssl.c>",
        f"# As {DEFAULT}:1 has it, over TLS.",
        "<VirtualHost *:443>",
        "    SSLEngine on",
        f"    SSLCertificateFile {CERTIFICATE}",
        "    SSLCertificateKeyFile /etc/ssl/private/harden-tui-apache.key",
        "\tDocumentRoot /var/www/html",
        "</VirtualHost>",
        "</IfModule>",
    ]
    made = next(argv for argv in commands(planned) if argv[:2] == ("openssl", "req"))
    assert "subjectAltName=DNS:recorded" in made
    assert ("a2ensite", "zz-harden-tui-apache.certificate") in commands(planned)


def test_a_port_that_somebody_else_holds_is_not_taken(host: SiteHost) -> None:
    host.listening = (Port("tcp", "0.0.0.0", 443, "haproxy", 9),)
    planned = certificates(**{"sites-without": "self-signed"}).plan(host.context())
    assert planned.refusals[0].startswith("haproxy listens on port 443 already")


def test_a_given_pair_must_fit_before_anything_is_written(host: SiteHost) -> None:
    given = certificates(**{"sites-without": "given", "certificate": SHOP, "key": KEY})
    planned = given.plan(host.context())
    assert not planned.refusals
    assert any(f"SSLCertificateFile {SHOP}" in text for text in written(planned).values())
    pem = (RECORDED / host.release / "apache-tls" / "chain.pem").read_text()
    host.files["/etc/ssl/other.pem"] = pem
    wrong = certificates(
        **{"sites-without": "given", "certificate": "/etc/ssl/other.pem", "key": KEY}
    )
    (refusal,) = wrong.plan(host.context()).refusals
    assert refusal.startswith(f"{KEY} is not the key of /etc/ssl/other.pem")
    gone = certificates(**{"sites-without": "given", "certificate": "/none", "key": KEY})
    assert gone.plan(host.context()).refusals == ("/none does not exist; nothing was changed",)
    with pytest.raises(StepError, match="name the files"):
        certificates(**{"sites-without": "given"})


def redirect() -> ApacheRedirect:
    return ApacheRedirect.parse("apache.https-redirect", {"except": ["/api"]})


def _answers(host: SiteHost, plain: int, secure: int, location: str = "") -> None:
    challenge = "/.well-known/acme-challenge/harden-tui"
    headers = [("location", location)] if location else []
    for name in (NAME, "localhost"):
        host.pages[name, 80, challenge] = page(404)
        host.pages[name, 80, "/"] = page(200)
    host.pages[NAME, 80, "/"] = page(plain, headers)
    host.pages[NAME, 443, "/"] = page(secure)


def test_only_names_that_answer_over_tls_are_sent_on(host: SiteHost) -> None:
    _answers(host, 200, 200)
    found = by_setting(redirect().observe(host.context()))
    assert found[f"apache {NAME}:80", "/"].ok is False
    assert found["apache localhost:80", "/"].applicable is False
    planned = redirect().plan(host.context())
    files = written(planned)
    assert r'RewriteCond %{HTTP_HOST} "^(www\.example\.org)(?::\d+)?$" [NC]' in files[REDIRECT]
    assert r"!^(?:/\.well\-known/acme\-challenge/|/api)" in files[REDIRECT]
    assert files[SITE].splitlines()[1] == f"    Include {REDIRECT}"
    assert set(files) == {REDIRECT, SITE}
    assert planned.answers == (MeantAnswer(NAME, (301,)),)
    assert any("http://localhost/ stays as it is" in note for note in planned.notes)


def test_a_name_whose_https_is_broken_stays(host: SiteHost) -> None:
    _answers(host, 200, 200)
    del host.pages[NAME, 443, "/"]
    found = redirect().observe(host.context())
    assert {f.applicable for f in found} == {False}
    assert redirect().plan(host.context()).changes == ()


def test_who_is_sent_on_already_passes(host: SiteHost) -> None:
    _answers(host, 301, 200, f"https://{NAME}/")
    found = by_setting(redirect().observe(host.context()))
    assert found[f"apache {NAME}:80", "/"].ok is True
    assert redirect().plan(host.context()).changes == ()


def test_a_redirect_to_where_nobody_answers_is_told(host: SiteHost) -> None:
    _answers(host, 301, 200, f"https://{NAME}/")
    del host.pages[NAME, 443, "/"]
    dump = host.programs["apache2ctl"]
    ours = f"    (1) {REDIRECT}\n"
    host.programs["apache2ctl"] = lambda argv: (0, dump(argv)[1] + ours)
    host.files[REDIRECT] = "of another day"
    found = by_setting(redirect().observe(host.context()))[f"apache {NAME}:80", "/"]
    assert found.ok is False and "undo this step" in found.note
    planned = redirect().plan(host.context())
    assert planned.changes == () and "undo this step" in planned.notes[0]


def sockets(*ports: tuple[str, int]) -> tuple[Port, ...]:
    return tuple(
        Port("tcp", address, port, "apache2", 77, "apache2.service") for address, port in ports
    )


def test_a_port_nobody_asked_for_is_closed_and_not_missed(host: SiteHost) -> None:
    lines = ["Listen 80", "Listen 443"]
    host.files["/etc/apache2/ports.conf"] = "\n".join([*[""] * 4, lines[0], "", "", lines[1], ""])
    host.listening = sockets(("::", 80), ("::", 443))
    step = ApacheListen.parse("x.y", {"ports": ["80"]})
    found = by_setting(step.observe(host.context()))
    assert found["apache", "tcp 80"].ok is True
    assert (found["apache", "tcp 443"].ok, found["apache", "tcp 443"].origin) == (
        False, "/etc/apache2/ports.conf:8",
    )  # fmt: skip
    planned = step.plan(host.context())
    text = written(planned)["/etc/apache2/ports.conf"].splitlines()
    assert (text[4], text[7]) == ("Listen 80", "# Listen 443")
    assert planned.stops == ("tcp :: 443",)
    assert [a.how for a in planned.activations] == ["reload"]
    assert any(NAME in note for note in planned.notes)


def test_single_addresses_come_with_loopback_and_a_restart(host: SiteHost) -> None:
    host.files["/etc/apache2/ports.conf"] = "\n" * 4 + "Listen 80\n\n\nListen 443\n"
    host.listening = sockets(("::", 80), ("::", 443))
    step = ApacheListen.parse("x.y", {"ports": ["80", "443"], "addresses": ["192.0.2.7"]})
    planned = step.plan(host.context())
    assert written(planned)["/etc/apache2/ports.conf"].split("\n")[5:7] == [
        "Listen 127.0.0.1:80", "Listen 192.0.2.7:80",
    ]  # fmt: skip
    assert planned.stops == ("tcp :: 80", "tcp :: 443")
    assert [a.how for a in planned.activations] == ["restart"]


def test_apache_never_ends_up_deaf(host: SiteHost) -> None:
    host.files["/etc/apache2/ports.conf"] = "\n" * 4 + "Listen 80\n\n\nListen 443\n"
    planned = ApacheListen.parse("x.y", {"ports": ["8443"]}).plan(host.context())
    assert planned.refusals[0].startswith("Apache would listen nowhere")


@pytest.mark.parametrize("body", [{"ports": []}, {"ports": ["0"]}, {"ports": ["99999"]}])
def test_what_is_no_port_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(StepError):
        ApacheListen.parse("x.y", body)


def clients(**more: object) -> ApacheClients:
    body = {"sites": [NAME], "authority": SHOP, "paths": ["/"], "except": ["/api"], **more}
    return ApacheClients.parse("apache.client-certificates", body)


def test_nobody_is_asked_by_default(host: SiteHost) -> None:
    step = ApacheClients.parse("x.y", {"sites": [], "paths": ["/"]})
    assert [f.applicable for f in step.observe(host.context())] == [False]
    assert step.plan(host.context()).changes == ()


def test_a_site_that_also_answers_without_tls_is_refused(host: SiteHost) -> None:
    _answers(host, 200, 200)
    (refusal,) = clients().plan(host.context()).refusals
    assert refusal.startswith(f"http://{NAME}/ answers without TLS too")


def test_the_site_asks_and_all_else_is_left_alone(host: SiteHost) -> None:
    _answers(host, 301, 200, f"https://{NAME}/")
    found = by_setting(clients().observe(host.context()))
    assert found[f"apache {NAME}", "/"].ok is False
    planned = clients().plan(host.context())
    files = written(planned)
    assert files[SITE_TLS].splitlines()[1] == f"    Include {CLIENTS}"
    assert '<LocationMatch "^(?!/api(?:/|$))(?:/)">' in files[CLIENTS]
    assert planned.answers == (MeantAnswer(NAME, (403,)),)
    host.pages[NAME, 443, "/"] = page(403)
    assert by_setting(clients().observe(host.context()))[f"apache {NAME}", "/"].ok is True


def test_files_that_do_not_fit_are_refused(host: SiteHost) -> None:
    _answers(host, 301, 200, f"https://{NAME}/")
    gone = clients(authority="/none", revoked="/none.crl").plan(host.context()).refusals
    assert [reason.partition(" ")[0] for reason in gone] == ["/none", "/none.crl"]
    unknown = clients(sites=["nobody.example.org"]).plan(host.context()).refusals
    assert unknown[0].startswith("no virtual host that speaks TLS has the name nobody")


@given(text=st.text(max_size=80))
def test_a_line_goes_in_only_where_a_virtual_host_begins(text: str) -> None:
    made = SiteHost("trixie")
    (virtual,) = (v for v in made.context().facts.get(APACHE).hosts if v.name == NAME and not v.tls)
    edited = with_line(text, virtual, "X")
    assert edited is None or edited.replace("    X\n", "", 1).replace("    X\r\n", "") == text
    assert [v.label for v in without_tls(made.context().facts.get(APACHE))] == ["*:80"]


def test_php_is_asked_over_tls_where_plain_http_may_only_send_there(host: SiteHost) -> None:
    places = _places(host.context().facts.get(APACHE))
    shop = [target.tls for target, root in places if root == "/var/www/shop"]
    assert shop == [True, False]
    assert ("/var/www/html", False) in {(root, target.tls) for target, root in places}
