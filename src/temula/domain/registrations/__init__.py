"""A buyer's order and its attendees: tickets held while it is paid, confirmed, cancelled, refunded."""
