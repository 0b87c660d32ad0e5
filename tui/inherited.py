"""What this process was given by whoever started it, before it chose its own."""

umask = 0o022
"""Ours is 077; what a person does in a shell of theirs is done with theirs."""
