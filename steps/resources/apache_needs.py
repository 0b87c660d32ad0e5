"""What in Apache's configuration needs a module that is otherwise better not loaded."""

from __future__ import annotations

from fnmatch import fnmatchcase

from host.base import Host
from host.facts.apache import FOLDER, Apache
from host.facts.apache_config import Directive

_DIRECTIVES: dict[str, tuple[str, ...]] = {
    "autoindex": (
        "AddAlt", "AddAltByEncoding", "AddAltByType", "AddDescription", "AddIcon",
        "AddIconByEncoding", "AddIconByType", "DefaultIcon", "HeaderName", "IndexHeadInsert",
        "IndexIgnore", "IndexIgnoreReset", "IndexOptions", "IndexOrderDefault", "IndexStyleSheet",
        "ReadmeName",
    ),
    "cgi": ("ScriptLog", "ScriptLogBuffer", "ScriptLogLength"),
    "cgid": ("ScriptLog", "ScriptLogBuffer", "ScriptLogLength", "ScriptSock", "CGIDScriptTimeout"),
    "dav": ("Dav", "DavDepthInfinity", "DavMinTimeout", "DavBasePath"),
    "dav_fs": ("DavLockDB", "DavLockDBType", "DavLockDiscovery", "DavQuota"),
    "dav_lock": ("DavGenericLockDB", "DavGenericLockDBType"),
    "dav_svn": ("SVNPath", "SVNParentPath"),
    "info": ("AddModuleInfo",),
    "proxy": (
        "AllowCONNECT", "BalancerGrowth", "BalancerInherit", "BalancerMember", "BalancerPersist",
        "NoProxy", "ProxyAddHeaders", "ProxyBadHeader", "ProxyBlock", "ProxyDomain",
        "ProxyErrorOverride", "ProxyIOBufferSize", "ProxyMaxForwards", "ProxyPass",
        "ProxyPassInherit", "ProxyPassInterpolateEnv", "ProxyPassMatch", "ProxyPassReverse",
        "ProxyPassReverseCookieDomain", "ProxyPassReverseCookiePath", "ProxyPreserveHost",
        "ProxyReceiveBufferSize", "ProxyRemote", "ProxyRemoteMatch", "ProxyRequests", "ProxySet",
        "ProxySourceAddress", "ProxyTimeout", "ProxyVia",
    ),
    "proxy_balancer": ("BalancerMember",),
    "proxy_express": ("ProxyExpressDBFile", "ProxyExpressDBType", "ProxyExpressEnable"),
    "proxy_fcgi": ("ProxyFCGIBackendType", "ProxyFCGISetEnvIf"),
    "proxy_ftp": ("ProxyFtpDirCharset", "ProxyFtpEscapeWildcards", "ProxyFtpListOnWildcard"),
    "proxy_hcheck": ("ProxyHCExpr", "ProxyHCTemplate", "ProxyHCTPsize"),
    "proxy_html": ("ProxyHTMLEnable", "ProxyHTMLURLMap", "ProxyHTMLLinks", "ProxyHTMLEvents"),
    "proxy_scgi": ("ProxySCGIInternalRedirect", "ProxySCGISendfile"),
    "status": ("SeeRequestTail",),
    "userdir": ("UserDir",),
}  # fmt: skip
"""Directives of each module (Apache 2.4 documentation). Outside the module's own file they show
that it is used, and without the module Apache would not start."""

_SCHEMES = {
    "fcgi": "proxy_fcgi",
    "http": "proxy_http",
    "https": "proxy_http",
    "h2": "proxy_http2",
    "h2c": "proxy_http2",
    "ws": "proxy_wstunnel",
    "wss": "proxy_wstunnel",
    "ajp": "proxy_ajp",
    "scgi": "proxy_scgi",
    "uwsgi": "proxy_uwsgi",
    "ftp": "proxy_ftp",
    "balancer": "proxy_balancer",
}

_HANDLERS = {
    "server-status": "status",
    "server-info": "info",
    "cgi-script": "cgi",
    "balancer-manager": "proxy_balancer",
}

_READERS: dict[str, tuple[str, ...]] = {
    "status": (
        "/etc/munin/plugins/apache_*",
        "/usr/lib/check_mk_agent/plugins/apache_status*",
        "/etc/collectd/collectd.conf.d/*apache*",
    ),
    "cgi": ("/usr/lib/cgi-bin/*",),
    "cgid": ("/usr/lib/cgi-bin/*",),
}
"""Files that show a module in use: plugins of monitoring that ask it, scripts that it runs."""


def need(host: Host, apache: Apache, module: str) -> str:
    """Why `module` is needed, with file and line; empty where nothing was found."""
    for directive in apache.config.directives:
        if not _own(directive, module) and _uses(directive, module):
            return f"{directive.origin} uses it ({directive.name} {directive.args})"
    for pattern in _READERS.get(module, ()):
        found = host.glob(pattern)
        if found:
            return f"{found[0]} is there"
    return ""


def _own(directive: Directive, module: str) -> bool:
    """Whether the line stands in the file that comes with the module itself."""
    return any(
        fnmatchcase(directive.file, f"{FOLDER}/mods-*/{name}.conf")
        for name in (module, module.partition("_")[0])
    )


def _uses(directive: Directive, module: str) -> bool:
    name, words = directive.name.lower(), directive.words
    if name in {known.lower() for known in _DIRECTIVES.get(module, ())}:
        return True
    if name in ("sethandler", "addhandler", "action") and words:
        handler = words[0].lower()
        if _HANDLERS.get(handler) in (module, _like(module)):
            return True
        return handler.startswith("proxy:") and module in _proxies(handler)
    if name in ("proxypass", "proxypassmatch", "balancermember"):
        return any(module in _proxies(word.lower()) for word in words)
    if name == "rewriterule" and len(words) > 2:
        flags = words[2].strip("[]").upper().split(",")
        return bool({"P", "PROXY"} & set(flags)) and module in _proxies(words[1].lower())
    if _like(module) != "cgi" or directive.file.endswith("/serve-cgi-bin.conf"):
        return False  # Debian's own file is there whether or not /usr/lib/cgi-bin holds scripts
    if name == "options":
        return "execcgi" in {word.lstrip("+").lower() for word in words}
    return name == "scriptalias"


def _like(module: str) -> str:
    """cgid is what cgi is called with a threaded Apache."""
    return "cgi" if module == "cgid" else module


def _proxies(target: str) -> set[str]:
    """The modules that a proxied address needs ("proxy:unix:/run/x.sock|fcgi://localhost")."""
    address = target.removeprefix("proxy:").rpartition("|")[2]
    scheme, separator, _ = address.partition("://")
    if not separator:
        return {"proxy"} if target.startswith("proxy:") else set()
    return {"proxy", _SCHEMES.get(scheme, f"proxy_{scheme}")}
