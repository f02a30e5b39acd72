"""What happens while a sweep runs."""
