"""``python -m uvatar`` is the ``uvatar`` command."""

from uvatar.commands.cli import main

if __name__ == "__main__":
    main()
