"""The five places of the screen: checklist, live, history, log, help."""
