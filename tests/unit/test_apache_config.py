"""Apache's own dumps, recorded on both releases, and whatever else may be printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.apache_config import (
    Include,
    parse_address,
    parse_config,
    parse_includes,
    parse_modules,
    parse_run_settings,
    split_args,
    virtual_hosts,
)
from host.facts.apache_modules import parse_load
from tests.unit.web_host import RELEASES, recorded

ODD = "/etc/apache2/sites-enabled/odd.conf"


@pytest.mark.parametrize("release", RELEASES)
def test_the_last_directive_outside_every_section_decides(release: str) -> None:
    config = parse_config(recorded(release, "dump-config.txt"))
    signature = config.for_server("serversignature")
    assert signature is not None
    assert (signature.args, signature.origin) == ("EMail", f"{ODD}:1")


@pytest.mark.parametrize("release", RELEASES)
def test_sections_and_included_files_keep_their_places(release: str) -> None:
    config = parse_config(recorded(release, "dump-config.txt"))
    places = [
        (d.args, d.origin, [s.name for s in d.within]) for d in config.named("ServerSignature")
    ]
    assert (("On", f"{ODD}:19", ["VirtualHost", "Directory", "If"])) in places
    trace = {d.origin: (d.args, len(d.within)) for d in config.named("TraceEnable")}
    assert trace["/srv/extra/inside.conf:2"] == ("Off", 1)
    assert trace[f"{ODD}:29"] == ("on", 1)


@pytest.mark.parametrize("release", RELEASES)
def test_a_line_of_a_macro_is_found_in_the_file_that_defines_it(release: str) -> None:
    config = parse_config(recorded(release, "dump-config.txt"))
    assert [d.origin for d in config.named("TraceEnable")][-1] == f"{ODD}:34"


@pytest.mark.parametrize("release", RELEASES)
def test_virtual_hosts_with_names_addresses_and_roots(release: str) -> None:
    hosts = virtual_hosts(parse_config(recorded(release, "dump-config.txt")))
    assert [(h.name, h.document_root) for h in hosts] == [
        ("", "/var/www/html"),
        ("www.example.org", "/var/www/my site"),
        ("macro.example.org", ""),
    ]
    assert hosts[2].addresses == (("*", 8080), ("10.77.1.40", 8081), ("::1", 8082))
    assert hosts[0].label == "*:80"


def test_tls_and_the_bare_name_of_a_virtual_host() -> None:
    text = (
        "# In file: /a\n#   1:\n<VirtualHost _default_:443>\n"
        "  #   2:\n  ServerName https://x.org:443\n  #   3:\n  SSLEngine on\n</VirtualHost>\n"
    )
    (host,) = virtual_hosts(parse_config(text))
    assert (host.name, host.tls, host.addresses) == ("x.org", True, (("*", 443),))


@pytest.mark.parametrize("release", RELEASES)
def test_modules_includes_and_run_settings(release: str) -> None:
    text = recorded(release, "dump-run.txt")
    modules = parse_modules(text)
    assert (modules["core_module"], modules["php_module"]) == ("static", "shared")
    assert parse_includes(text)[-1] == Include("/srv/extra/inside.conf", (225, 11))
    settings = parse_run_settings(text)
    assert settings["PidFile"] == "/var/run/apache2/apache2.pid"
    assert settings["Main DocumentRoot"] == "/var/www/html"


@pytest.mark.parametrize("release", RELEASES)
def test_a_load_file_names_module_object_and_what_it_depends_on(release: str) -> None:
    module = parse_load("proxy_fcgi", recorded(release, "proxy_fcgi.load"))
    assert module is not None
    assert (module.module, module.shared_object) == ("proxy_fcgi_module", "mod_proxy_fcgi.so")
    assert module.depends == ("proxy",)
    assert parse_load("empty", "# nothing\n") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/var/www", ["/var/www"]),
        ('"my site" b', ["my site", "b"]),
        (r'"a \"b\" \\ \s" ', [r'a "b" \ \s']),
        ("set X ''", ["set", "X", ""]),
        ("", []),
    ],
)
def test_arguments_are_split_as_apache_does(text: str, words: list[str]) -> None:
    assert split_args(text) == words


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("*:80", ("*", 80)),
        ("80", ("*", 80)),
        ("_default_", ("*", 0)),
        ("[::1]:8082", ("::1", 8082)),
        ("[::1]", ("::1", 0)),
        ("10.0.0.1:*", ("10.0.0.1", 0)),
        ("www.example.org:443", ("www.example.org", 443)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


_LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["# In file: /a", "#  3:", "<VirtualHost *:80>", "</VirtualHost>", "</If>", "<If",
             "ServerName", "DocumentRoot", "SSLEngine", " (1) /x", "  (*) /y", "Listen [::"]
        ),
    ),
    max_size=20,
)  # fmt: skip


@given(_LINES)
def test_no_output_makes_the_parsers_fail(lines: list[str]) -> None:
    text = "\n".join(lines)
    virtual_hosts(parse_config(text))
    parse_includes(text)
    parse_modules(text)
    parse_run_settings(text)
    parse_load("x", text)


@given(st.text(max_size=60))
def test_no_arguments_make_the_splitter_fail(text: str) -> None:
    split_args(text)
    parse_address(text)
