"""Installations shaped like i-doit's and TYPO3's, for real Apache, PHP and MariaDB on test hosts.

They have the directories, files, tables and answers that harden-tui reads and changes, and none of
the applications' own code.
"""
