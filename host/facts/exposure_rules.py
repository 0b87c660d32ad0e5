"""What of i-doit and TYPO3 nobody must get over HTTP, as data.

i-doit: the rules of its own .htaccess, and what its knowledge base says of the installer; TYPO3:
Security Guidelines, "Restrict HTTP access"; CIS Apache 2.4 5.10 to 5.13 (.ht, .git, .svn, kinds of
files).
"""

from __future__ import annotations

from typing import Final

import msgspec

from host.facts.applications import Application


class Rule(msgspec.Struct, frozen=True):
    """`pattern` is relative; its last part may be a pattern. A directory stands for all in it.

    `keep`: endings of names in the directory that pages need ("css").
    """

    pattern: str
    what: str
    keep: tuple[str, ...] = ()


_EVERYWHERE: Final = (
    Rule(".git", "the history of the source, often with passwords"),
    Rule(".svn", "the history of the source"),
    Rule(".htaccess", "rules of the web server"),
    Rule(".env*", "passwords and keys"),
    Rule("composer.json", "which libraries are used"),
    Rule("composer.lock", "which versions of libraries are used"),
    *(
        Rule(f"*{ending}", what)
        for ending, what in (
            (".sql", "a dump of a database"),
            (".sql.gz", "a dump of a database"),
            (".zip", "an archive, perhaps of everything"),
            (".tar.gz", "an archive, perhaps of everything"),
            (".tgz", "an archive, perhaps of everything"),
            (".bak", "a copy of something"),
            (".old", "a copy of something"),
            (".swp", "what an editor left"),
            ("~", "what an editor left"),
            (".log", "a log"),
            (".sh", "a program of the host"),
            (".ini", "configuration"),
            (".yml", "configuration"),
            (".yaml", "configuration"),
            (".pem", "a certificate or key"),
            (".key", "a key"),
        )
    ),
)

_PARTS: Final = ("css", "js", "gif", "jpg", "png", "svg")

_IDOIT: Final = (
    Rule("src/config.inc.php*", "the configuration with the database's password, or a copy"),
    Rule("controller", "a program of the host"),
    Rule("imports", "files to import"),
    Rule("log", "logs"),
    Rule("temp", "caches and sessions", keep=("css", "xsl")),
    Rule("upload/files", "uploaded files, which i-doit itself hands out"),
    Rule("upload/images", "uploaded images, which i-doit itself hands out"),
    Rule("vendor", "libraries"),
    Rule("setup", "the installer"),
    Rule("updates", "packages of updates", keep=_PARTS),
)

_TYPO3: Final = (
    Rule("typo3conf/LocalConfiguration.php*", "the configuration with the database's password"),
    Rule("typo3conf/AdditionalConfiguration.php*", "the configuration, or a copy of it"),
    Rule("typo3conf/system", "the configuration with the database's password"),
    Rule("typo3temp/var", "caches, sessions and logs"),
    Rule("typo3/sysext/core/composer.json", "which version this is"),
    Rule("vendor", "libraries"),
    Rule("fileadmin/_temp_", "files on their way"),
    Rule("fileadmin/_recycler_", "deleted files"),
)

_PROJECT: Final = (
    Rule("config", "the configuration with the database's password"),
    Rule("var", "caches, sessions and logs"),
    Rule("vendor", "libraries"),
    *_EVERYWHERE,
)
"""Of a project of Composer whose own directory is shown, not only public/."""


def rules_for(application: Application) -> list[tuple[str, Rule]]:
    """The directory each rule is relative to, and the rule."""
    if application.kind == "i-doit":
        return [(application.path, rule) for rule in (*_EVERYWHERE, *_IDOIT)]
    rules = [(application.public, rule) for rule in (*_EVERYWHERE, *_TYPO3)]
    if application.public != application.path:
        rules += [(application.path, rule) for rule in _PROJECT]
    return rules
