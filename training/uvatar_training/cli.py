"""The command line of training: ``uvatar-train``."""

from __future__ import annotations

from collections.abc import Sequence

from uvatar.runtime.terminal import print_anything, terminal


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Errors in data, recipes and runs are printed in one line, without a traceback.

    Args:
        arguments: by default the program's.
    """
    print_anything()
    try:
        from uvatar_training.commands.parse import parse

        parse(arguments).run()
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install uvatar-training"
        terminal(stderr=True).print(f"Error: {message}", style="red", soft_wrap=True)
        raise SystemExit(1) from None
    except (ValueError, RuntimeError) as error:
        if type(error).__module__.split(".")[0] not in ("uvatar_training", "uvatar"):
            raise
        terminal(stderr=True).print(f"Error: {error}", style="red", soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
