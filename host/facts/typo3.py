"""TYPO3's settings as TYPO3 itself computes them, and who decides each.

settings.php is data, additional.php is a program that has the last word. So both are run, by
TYPO3's own ConfigurationManager, as the web server's user, without a network, with a limit of time
and without the functions that change anything. Of secrets only their kind leaves that process.
"""

from __future__ import annotations

import os.path
import re
from typing import Any, Final

import msgspec

from host.base import CommandMissing, CommandTimeout, Host, HostError
from host.facts.apache import APACHE, Apache
from host.facts.applications import APPLICATIONS, Application
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.php_source import STRINGS, line_of, without_comments

WEB_USER: Final = "www-data"
LIMIT_S: Final = 5
_BARRED: Final = (
    "exec,passthru,shell_exec,system,proc_open,popen,pcntl_exec,pcntl_fork,mail,"
    "file_put_contents,fwrite,fputs,unlink,rename,rmdir,mkdir,chmod,chown,chgrp,touch,symlink,link,"
    "copy,tempnam,move_uploaded_file,fsockopen,stream_socket_client,curl_exec,dl"
)

_QUESTION: Final = r"""
$given = json_decode(stream_get_contents(STDIN), true);
putenv('TYPO3_PATH_ROOT=' . $given['public']);
if ($given['composer']) { putenv('TYPO3_PATH_APP=' . $given['path']); }
$_SERVER['argv'] = [$given['script']];
$_SERVER['argc'] = 1;
$_SERVER['SCRIPT_NAME'] = $_SERVER['SCRIPT_FILENAME'] = $given['script'];
chdir($given['public']);
ob_start();
try {
    require $given['vendor'] . '/autoload.php';
    TYPO3\CMS\Core\Core\SystemEnvironmentBuilder::run(4,
        TYPO3\CMS\Core\Core\SystemEnvironmentBuilder::REQUESTTYPE_CLI);
    $manager = new TYPO3\CMS\Core\Configuration\ConfigurationManager();
    $default = $manager->getDefaultConfiguration();
    $manager->exportConfiguration();
    $found = ['version' => (new TYPO3\CMS\Core\Information\Typo3Version())->getVersion()];
    $conf = $GLOBALS['TYPO3_CONF_VARS'];
    foreach ($given['keys'] as $key) {
        $value = $conf;
        $base = $default;
        foreach (explode('/', $key) as $part) {
            $value = is_array($value) ? ($value[$part] ?? null) : null;
            $base = is_array($base) ? ($base[$part] ?? null) : null;
        }
        if (is_bool($base) && $value !== null) { $value = (bool)$value; }
        $found['values'][$key] = is_scalar($value) || $value === null ? $value : null;
    }
    $pattern = (string)($conf['SYS']['trustedHostsPattern'] ?? '');
    $found['trusts_anybody'] = $pattern !== 'SERVER_NAME'
        && ($pattern === '.*' || @preg_match('/^' . $pattern . '$/i', 'harden-tui.invalid') === 1);
    $tool = (string)($conf['BE']['installToolPassword'] ?? '');
    $found['install_tool'] = $tool === '' ? 'empty'
        : (preg_match('/^\$(argon2|2y|P)/', $tool) ? 'hash' : 'weak');
    $found['context'] = (string)TYPO3\CMS\Core\Core\Environment::getContext();
} catch (Throwable $error) {
    $place = $error->getFile() . ':' . $error->getLine();
    $found = ['problem' => get_class($error) . ' in ' . $place];
}
ob_end_clean();
echo json_encode($found);
"""

KEYS: Final = (
    "SYS/trustedHostsPattern", "SYS/displayErrors", "SYS/devIPmask", "SYS/fileCreateMask",
    "SYS/folderCreateMask", "SYS/features/security.backend.enforceContentSecurityPolicy",
    "SYS/features/security.backend.enforceReferrer", "SYS/reverseProxySSL", "SYS/reverseProxyIP",
    "BE/debug", "BE/lockIP", "BE/lockIPv6", "BE/lockSSL", "BE/cookieSameSite",
    "BE/loginRateLimit", "BE/loginRateLimitInterval", "BE/passwordPolicy", "BE/requireMfa",
    "BE/warning_email_addr", "BE/warning_mode", "BE/IPmaskList", "BE/sessionTimeout",
    "FE/debug", "FE/cookieSameSite", "FE/lockIP", "FE/lockIPv6", "FE/passwordPolicy",
)  # fmt: skip
"""What may be asked for; none of these is a secret."""


class Answer(msgspec.Struct, frozen=True):
    """What that process said. `install_tool`: "empty", "hash" or "weak" (MD5 or plain)."""

    version: str = ""
    values: dict[str, str | int | float | bool | None] = {}
    trusts_anybody: bool = False
    install_tool: str = ""
    context: str = ""
    problem: str = ""


class Typo3(msgspec.Struct, frozen=True):
    """One installation. Values are text, with yes and no; `None` where TYPO3 knows no such key."""

    application: Application
    version: str
    values: dict[str, str | None]
    origins: dict[str, str]
    trusts_anybody: bool
    install_tool: str
    context: str

    @property
    def additional(self) -> str:
        """The file that has the last word, whether it is there or not."""
        folder, name = os.path.split(self.application.config[0])
        own = "AdditionalConfiguration.php" if name.startswith("Local") else "additional.php"
        return f"{folder}/{own}"


class Unreadable(msgspec.Struct, frozen=True):
    """An installation whose settings could not be computed, and why."""

    application: Application
    problem: str


def _read_typo3(host: Host, facts: Facts) -> tuple[Typo3 | Unreadable, ...]:
    found: list[Typo3 | Unreadable] = []
    for application in facts.get(APPLICATIONS):
        if application.kind == "typo3" and application.config:
            try:
                found.append(_one(host, facts, application))
            except FactUnavailable as error:
                found.append(Unreadable(application, str(error)))
    return tuple(found)


def _one(host: Host, facts: Facts, application: Application) -> Typo3:
    answer = _ask(host, application, _context(host, facts.get(APACHE), application))
    if answer.problem:
        raise FactUnavailable(
            f"TYPO3 in {application.path} could not compute its settings ({answer.problem});"
            " additional.php may do there what is not let here: write, call programs or the network"
        )
    texts = {path: host.read_bytes(path).decode("utf-8", "replace") for path in application.config}
    return Typo3(
        application=application,
        version=answer.version,
        values={key: as_text(answer.values.get(key)) for key in KEYS},
        origins={key: origin(key, texts) for key in KEYS},
        trusts_anybody=answer.trusts_anybody,
        install_tool=answer.install_tool,
        context=answer.context,
    )


def _ask(host: Host, application: Application, context: str) -> Answer:
    """Raises `FactUnavailable`."""
    composer = application.layout == "composer"
    vendor = _vendor(host, application)
    question = {
        "path": application.path,
        "public": application.public,
        "composer": composer,
        "vendor": vendor,
        "script": f"{application.public}/typo3/sysext/core/bin/typo3",
        "keys": KEYS,
    }
    argv = (
        "unshare", "--net", "--", "runuser", "-u", WEB_USER, "--",
        "timeout", "--kill-after=1", str(LIMIT_S), "php",
        "-d", f"disable_functions={_BARRED}", "-d", "memory_limit=256M",
        "-d", "display_errors=0", "-d", "log_errors=0", "-r", _QUESTION,
    )  # fmt: skip
    environment = {"TYPO3_CONTEXT": context} if context else {}
    try:
        done = host.run(
            argv, stdin=msgspec.json.encode(question), env=environment, ok=None,
            timeout_s=LIMIT_S + 3,
        )  # fmt: skip
    except (CommandMissing, CommandTimeout) as error:
        raise FactUnavailable(f"TYPO3's settings could not be computed: {error}") from None
    return parse_answer(done.stdout, done.returncode)


def parse_answer(text: str, status: int) -> Answer:
    """What the process printed. Raises `FactUnavailable` where that is no answer."""
    try:
        return msgspec.json.decode(text, type=Answer)
    except msgspec.MsgspecError:
        reason = f"it took longer than {LIMIT_S} s" if status == 124 else f"exit status {status}"
        raise FactUnavailable(
            f"TYPO3's settings could not be computed as {WEB_USER} ({reason}); this needs root and"
            " PHP's command line (package php-cli)"
        ) from None


def _vendor(host: Host, application: Application) -> str:
    """Where the class loader lies; of a classic installation beside its sources."""
    if application.layout == "composer":
        return f"{application.path}/vendor"
    core = host.realpath(f"{application.path}/typo3/sysext/core")
    beside = os.path.dirname(os.path.dirname(os.path.dirname(core)))
    for folder in (f"{application.path}/vendor", f"{beside}/vendor"):
        if host.state(f"{folder}/autoload.php") is not None:
            return folder
    return f"{application.path}/vendor"


def _context(host: Host, apache: Apache, application: Application) -> str:
    """TYPO3_CONTEXT as the site has it; "" where nobody sets it (Production)."""
    roots = {one.section.origin: host.realpath(one.document_root) for one in apache.hosts}
    for directive in reversed(apache.config.named("SetEnv")):
        words = directive.words
        inside = directive.virtual_host
        its_site = inside is None or roots.get(inside.origin) == application.public
        if len(words) == 2 and words[0] == "TYPO3_CONTEXT" and its_site:
            return words[1]
    try:
        text = host.read_bytes(f"{application.public}/.htaccess").decode("utf-8", "replace")
    except HostError:
        return ""
    found = re.search(r"^\s*SetEnv\s+TYPO3_CONTEXT\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


def as_text(value: Any) -> str | None:
    """A value as expectations compare it: yes and no for what is true or false."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def origin(key: str, texts: dict[str, str]) -> str:
    """The file and line that decide a key, as far as the source shows it.

    `texts`: the files in the order in which TYPO3 reads them.
    """
    parts = key.split("/")
    for path, text in reversed(texts.items()):
        source = without_comments(text)
        place = _assignment(source, parts)
        if place is None:
            place = _in_array(source, parts)
        if place is not None:
            return f"{path}:{line_of(source, place)}"
    return "TYPO3's default"


def _assignment(source: str, parts: list[str]) -> int | None:
    """The last `…['SYS']['displayErrors'] = …`; an array's is told by its beginning."""
    path = r"\s*".join(rf"\[\s*['\"]{re.escape(part)}['\"]\s*\]" for part in parts)
    places = [found.start() for found in re.finditer(path + r"\s*=(?!=)", source)]
    return places[-1] if places else None


def _in_array(source: str, parts: list[str]) -> int | None:
    """Where a key stands in nested arrays, each within the brackets of the one before."""
    start, end = 0, len(source)
    for number, part in enumerate(parts):
        found = re.compile(rf"['\"]{re.escape(part)}['\"]\s*=>\s*").search(source, start, end)
        if found is None:
            return None
        if number == len(parts) - 1:
            return found.start()
        start, end = found.end(), _closing(source, found.end(), end)
    return None


def _closing(source: str, start: int, end: int) -> int:
    """Where the bracket that opens at `start` or after is closed."""
    depth = 0
    for token in re.finditer(rf"{STRINGS}|[\[\](),]", source[start:end]):
        letter = token.group()
        if letter in "[(":
            depth += 1
        elif letter in "])":
            depth -= 1
        if depth <= 0 and letter in "]),":
            return start + token.end()
    return end


TYPO3: Fact[tuple[Typo3 | Unreadable, ...]] = Fact("typo3", _read_typo3)
