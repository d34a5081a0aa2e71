"""Services that Temula calls and that call it back: one folder a provider."""
