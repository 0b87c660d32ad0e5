"""The kinds of resources, one module each, imported when a step first names them."""

from __future__ import annotations

from importlib import import_module

from steps.resource import Resource, StepError

TABLE: dict[str, str] = {
    "accounting": "steps.resources.accounting:Accounting",
    "admin-key": "steps.resources.admin_key:AdminKey",
    "admin-network": "steps.resources.admin_network:AdminNetwork",
    "administrator": "steps.resources.administrator:Administrator",
    "apache": "steps.resources.apache_directive:ApacheDirective",
    "apache-certificate": "steps.resources.apache_certificate:ApacheCertificate",
    "apache-client-certificate": "steps.resources.apache_clients:ApacheClients",
    "apache-header": "steps.resources.apache_header:ApacheHeader",
    "apache-listen": "steps.resources.apache_listen:ApacheListen",
    "apache-modsecurity": "steps.resources.apache_modsecurity:ApacheModSecurity",
    "apache-module": "steps.resources.apache_module:ApacheModule",
    "apache-redirect": "steps.resources.apache_redirect:ApacheRedirect",
    "apache-tls": "steps.resources.apache_tls:ApacheTls",
    "apparmor": "steps.resources.apparmor:AppArmor",
    "apt-config": "steps.resources.apt_config:AptSettings",
    "apt-sources": "steps.resources.apt_sources:AptSources",
    "attest": "steps.resources.attest:Attest",
    "auditd": "steps.resources.auditd:Auditd",
    "aws": "steps.resources.aws:Aws",
    "aws-metadata": "steps.resources.aws:AwsMetadata",
    "backup-schedule": "steps.resources.backup_schedule:BackupSchedule",
    "banner": "steps.resources.banner:Banner",
    "config-secrets": "steps.resources.config_secrets:ConfigSecrets",
    "core-dumps": "steps.resources.core_dumps:CoreDumps",
    "cron-output": "steps.resources.cron_output:CronOutput",
    "database-password": "steps.resources.database_password:DatabasePassword",
    "database-rights": "steps.resources.database_rights:DatabaseRights",
    "default-logins": "steps.resources.default_logins:DefaultLogins",
    "disk-encryption": "steps.resources.disk_encryption:DiskEncryption",
    "egress": "steps.resources.egress:Egress",
    "fail2ban": "steps.resources.fail2ban:Fail2ban",
    "file": "steps.resources.file:File",
    "hardware": "steps.resources.hardware:HardwareFaults",
    "homes": "steps.resources.homes:Homes",
    "idoit-csrf": "steps.resources.idoit_csrf:IdoitCsrf",
    "integrity": "steps.resources.integrity:Integrity",
    "ipv6": "steps.resources.ipv6:Ipv6",
    "journald": "steps.resources.journald:Journal",
    "locked-password": "steps.resources.locked_password:LockedPassword",
    "log-rotation": "steps.resources.log_rotation:LogRotation",
    "login-bans": "steps.resources.login_bans:LoginBans",
    "login-defs": "steps.resources.login_defs:LoginDefaults",
    "logwatch": "steps.resources.logwatch:Logwatch",
    "mail-relay": "steps.resources.mail_relay:MailRelay",
    "mariadb": "steps.resources.mariadb:Mariadb",
    "mariadb-accounts": "steps.resources.mariadb_accounts:MariadbAccounts",
    "mariadb-listen": "steps.resources.mariadb_listen:MariadbListen",
    "modes": "steps.resources.modes:Modes",
    "modprobe": "steps.resources.modprobe:Modprobe",
    "monitoring-agent": "steps.resources.monitoring_agent:MonitoringAgent",
    "mount": "steps.resources.mount:Mount",
    "package": "steps.resources.package:Package",
    "package-unneeded": "steps.resources.package_unneeded:UnneededPackage",
    "pam": "steps.resources.pam:Pam",
    "pam-profile": "steps.resources.pam_profile:PamProfile",
    "password-ageing": "steps.resources.password_ageing:PasswordAgeing",
    "pending-updates": "steps.resources.pending:PendingUpdates",
    "php": "steps.resources.php:Php",
    "php-module": "steps.resources.php_module:PhpModule",
    "php-support": "steps.resources.php_support:PhpSupport",
    "phpmyadmin": "steps.resources.phpmyadmin:PhpMyAdmin",
    "ports": "steps.resources.ports:Ports",
    "pwquality": "steps.resources.pwquality:PasswordQuality",
    "restarts": "steps.resources.restarts:Restarts",
    "restore-test": "steps.resources.restore_test:RestoreTest",
    "rsyslog-remote": "steps.resources.rsyslog_remote:RsyslogRemote",
    "sandbox": "steps.resources.sandbox:Sandbox",
    "shell-session": "steps.resources.shell_session:ShellSessions",
    "ssh-allow": "steps.resources.ssh_allow:SshAllow",
    "ssh-crypto": "steps.resources.ssh_crypto:SshCrypto",
    "ssh-forwarding": "steps.resources.ssh_forwarding:SshForwarding",
    "sshd": "steps.resources.sshd:Sshd",
    "su-group": "steps.resources.su_group:SuGroup",
    "sudo-callers": "steps.resources.sudo_callers:SudoCallers",
    "sudo-defaults": "steps.resources.sudo_defaults:SudoSettings",
    "sysctl": "steps.resources.sysctl:Sysctl",
    "system-shells": "steps.resources.system_shells:SystemShells",
    "time-sync": "steps.resources.time_sync:TimeSync",
    "timer": "steps.resources.timer:Timer",
    "tree": "steps.resources.tree:Tree",
    "typo3-settings": "steps.resources.typo3_settings:Typo3Settings",
    "typo3-support": "steps.resources.typo3_support:Typo3Support",
    "ufw": "steps.resources.ufw:Ufw",
    "umask": "steps.resources.umask:Umask",
    "unattended-upgrades": "steps.resources.unattended:Unattended",
    "unit": "steps.resources.unit:Unit",
    "vulnerabilities": "steps.resources.vulnerabilities:Vulnerabilities",
    "web-exposure": "steps.resources.web_exposure:WebExposure",
    "window": "steps.resources.window:UpdateWindow",
}


def known(name: str) -> None:
    """Raises `StepError` for a kind of resource that does not exist; loads nothing."""
    if name not in TABLE:
        raise StepError(f"there is no kind of resource {name!r} (there are: {', '.join(TABLE)})")


def kind(name: str) -> type[Resource]:
    """The class of a kind of resource. Raises `StepError` for one that does not exist."""
    known(name)
    module, _, attribute = TABLE[name].partition(":")
    found: type[Resource] = getattr(import_module(module), attribute)
    return found
