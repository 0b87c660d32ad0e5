"""The version, alone in a file, so that `--version` need not read package metadata (20 ms)."""

VERSION = "0.1.0"
