"""Widgets that draw lines: a pane that scrolls, a list with a chosen row, single lines.

Each repaints only the cells that changed, because the line to the server may be slow.
"""
