"""One run: its stages in order, what it is recorded as, and what it leaves on disk."""
