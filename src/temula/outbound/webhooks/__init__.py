"""Signed messages to endpoints: subscriptions, fan-out, delivery, retries, the attempt log and replay."""
