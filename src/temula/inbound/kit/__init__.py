"""What connectors share: manifest, registry by folder, client, and the inbox of callbacks."""
