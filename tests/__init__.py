"""Tests, and the campaigns that write the pages of evidence."""

import os

# What a test host is built of must be readable there, whatever the caller's umask.
os.umask(0o022)
