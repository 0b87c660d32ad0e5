"""Tests on real Debian hosts: systemd, sshd, Apache, PHP and MariaDB as Debian ships them."""
