"""What the world sees of each noun, and its versions."""
