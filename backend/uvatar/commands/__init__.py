"""The commands of ``uvatar``, in groups; `uvatar.commands.cli` puts them together.

They import what they need when they run.
"""
