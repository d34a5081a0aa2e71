"""Frozen values and rules of a ticket; `code` is what a gate reads, `paper` is what a person carries."""
