"""Words and tools every part uses; nothing here knows of tickets."""
