"""The steps that come with the program, as data."""
