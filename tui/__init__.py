"""What a person sees: the terminal UI, the command line and reports. Nothing here decides."""
