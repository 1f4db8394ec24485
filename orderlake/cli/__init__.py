"""The command `orderlake`: thin shells over the library, one module a topic.

Nothing heavy is imported before a command runs: `orderlake --help` must answer at once.
"""
