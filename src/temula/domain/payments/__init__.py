"""Money asked for, moved and given back, in our words: every observation goes through one state machine."""
