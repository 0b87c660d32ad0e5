"""`make bench`: how fast and how small the program is, as ratios measured in one run.

Nothing here runs in the test suite, and no test asserts a time: machines differ, ratios less so.
"""
