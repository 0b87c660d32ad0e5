"""A small pretend server in a scratch directory: real files, pretend programs.

For newcomers without root and for fast tests of the screens. It says everywhere that it pretends.
"""

from host.practice.host import PracticeHost

__all__ = ["PracticeHost"]
