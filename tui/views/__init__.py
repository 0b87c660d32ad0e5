"""Views: pure functions from data to lines of text.

Nothing here knows Textual; every view can be tested by comparing text.
"""
