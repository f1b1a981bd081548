"""What both branches share: Trainer settings, optimiser groups, tracking."""
