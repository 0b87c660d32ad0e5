"""The checklists that come with the program, as data."""
