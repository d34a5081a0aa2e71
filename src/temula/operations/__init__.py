"""How Temula is run; the only region that knows every part."""
