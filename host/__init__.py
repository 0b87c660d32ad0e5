"""One machine: its files, commands, services, ports, packages and accounts.

`Host` (`host.base`) is the only door to it; nothing here knows of steps or restore points.
"""
