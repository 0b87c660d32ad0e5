"""Services that a web server seldom needs: those of them that this host has."""

from __future__ import annotations

from host.facts.base import Facts
from host.facts.units import UNITS

KNOWN: dict[str, str] = {
    "apt-cacher-ng.service": "package cache",
    "atftpd.service": "TFTP server",
    "autofs.service": "automounter",
    "avahi-daemon.service": "name announcements on the local network",
    "bluetooth.service": "Bluetooth",
    "cups-browsed.service": "printer discovery",
    "cups.service": "printing",
    "dnsmasq.service": "DNS and DHCP server",
    "dovecot.service": "IMAP and POP3 server",
    "gdm3.service": "graphical login",
    "inetd.service": "internet superserver",
    "inetutils-inetd.service": "internet superserver",
    "isc-dhcp-server.service": "DHCP server",
    "isc-dhcp-server6.service": "DHCP server",
    "kea-dhcp4-server.service": "DHCP server",
    "kea-dhcp6-server.service": "DHCP server",
    "lightdm.service": "graphical login",
    "minissdpd.service": "UPnP discovery",
    "named.service": "DNS server",
    "nfs-blkmap.service": "NFS",
    "nfs-server.service": "NFS server",
    "nmbd.service": "NetBIOS name server",
    "openbsd-inetd.service": "internet superserver",
    "proftpd.service": "FTP server",
    "pure-ftpd.service": "FTP server",
    "rpcbind.service": "RPC port mapper",
    "rsync.service": "rsync server",
    "samba-ad-dc.service": "domain controller",
    "saned.socket": "scanner sharing",
    "sddm.service": "graphical login",
    "slapd.service": "LDAP server",
    "smbd.service": "Windows file sharing",
    "snmpd.service": "SNMP agent",
    "snmptrapd.service": "SNMP traps",
    "squid.service": "web proxy",
    "telnetd.service": "telnet server",
    "tftpd-hpa.service": "TFTP server",
    "tinyproxy.service": "web proxy",
    "vsftpd.service": "FTP server",
    "winbind.service": "Windows domain accounts",
    "xinetd.service": "internet superserver",
    "xrdp.service": "remote desktop",
    "ypserv.service": "NIS server",
}
"""Unit to what it is: the services of CIS Debian 12 and 13, sections 2.1.1 to 2.1.21, without web
servers and mail transport, and what the i-doit knowledge base lists as unneeded."""


def unneeded_units(facts: Facts) -> list[str]:
    """The known unneeded units that exist here, sorted, running or not.

    ["cups.service", "rsync.service"]. Raises `FactUnavailable` where systemd cannot be asked.
    """
    units = facts.get(UNITS)
    return sorted(name for name in KNOWN if name in units)
