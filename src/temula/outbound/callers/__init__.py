"""Who may call and how often: tokens, abilities, plans, limits, idempotency, and problems as answers."""
