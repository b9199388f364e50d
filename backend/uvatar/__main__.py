"""``python -m uvatar`` is the ``uvatar`` command."""

from uvatar.cli import main

if __name__ == "__main__":
    main()
