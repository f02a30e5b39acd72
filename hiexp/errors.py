"""The one error that a user can cause and mend."""


class InputError(ValueError):
    """Input that cannot be used; the message names the file or key, the value and the remedy."""
