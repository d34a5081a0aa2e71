"""Stand-ins for providers, written from their documentation, with faults to order; they share no code with Temula."""
