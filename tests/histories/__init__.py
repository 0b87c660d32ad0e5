"""Random histories of real hosts: steps, edits, package upgrades and undos in any order.

`archive` makes packages in several versions, `actions` draws what happens, `telling` says what the
host must be like without any step, `host` does it all on a real Debian, `report` writes the page.
"""
