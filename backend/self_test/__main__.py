"""``python -m backend.self_test``: the self-test by itself, for the set-up. Its last line says what is wrong; exit code 1 then."""

from __future__ import annotations

import sys

from backend import __version__, wire
from backend.self_test import check
from backend.weights import WeightsError


def main() -> int:
    """Entry point."""
    print("version", __version__)
    try:
        from backend.pipeline import Pipeline

        print(f"The self-test has passed: {check(Pipeline())}.")
    except WeightsError as error:
        print(error)
    except wire.WireError as error:
        print(error.message)
        print(error.fix)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
