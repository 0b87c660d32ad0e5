"""`make bans`: failed logins out of five million rows and a million lines, measured on real hosts.

Not part of the tests: it takes about a quarter of an hour, and its figures are of one machine.
"""
