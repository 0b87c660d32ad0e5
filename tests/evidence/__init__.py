"""`make evidence`: what judges of others say of a host, before and after the pre-install stage.

A module for each judge, with a pure parser of its answer.
"""
