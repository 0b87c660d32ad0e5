"""Kinds of state that can be captured and put back, one module each.

`files.Files`, `units.Units`, `packages.Packages`, `kernel.Kernel`, `firewall.Firewall`,
`mariadb.Mariadb`: each a `base.Domain`. A kind knows nothing of transactions; it says what is and
makes it what is wanted.
"""
