"""A conformance kit for webhook senders: a receiver, checks, an adapter for each sender. Standard library only."""
