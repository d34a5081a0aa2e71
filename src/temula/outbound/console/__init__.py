"""Pages for the people of an organization."""
