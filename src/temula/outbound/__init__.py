"""What others consume: one folder a channel."""
