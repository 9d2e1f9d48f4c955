"""What can go wrong on one machine, in words for the person at the keyboard."""


class LocalStackError(Exception):
    """The local stack cannot start or go on; the message says what is wrong and what to do."""
