"""What should be: the catalogue, checklists and resources; check, plan and apply."""
