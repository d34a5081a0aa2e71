"""What Temula knows: one folder a noun, each calling only the nouns below it."""
