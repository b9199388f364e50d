"""The commands of ``uvatar-train``, one dataclass each: its fields are the command's options, its ``run`` does it."""
