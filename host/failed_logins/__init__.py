"""Failed logins of web applications, read where they are kept and handed to fail2ban: a line each.

Runs as a service of its own (`service.main`), so nothing here imports more than it must.
"""
