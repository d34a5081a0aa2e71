"""A provider account of an organization (or of the platform), its credentials sealed, and which one is used."""
