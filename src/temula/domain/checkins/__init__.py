"""Who came in: checkpoints, check-ins, undo; one database constraint decides who was first."""
