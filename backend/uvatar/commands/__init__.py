"""The ``uvatar`` commands, one module per group; `uvatar.commands.cli` assembles them.

Each command imports what it needs only when it runs, so that ``--help`` is fast.
"""
