"""``python -m uvatar.engine.self_test``: the self-test by itself, for the set-up.

Its last line says what is wrong; exit code 1 then.
"""

from __future__ import annotations

import sys

from uvatar.engine.engine import Engine
from uvatar.engine.self_test import check, remember
from uvatar.protocol import discovery
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.version import __version__
from uvatar.runtime.weights import WeightsError


def main() -> int:
    """Entry point."""
    print("version", __version__)
    try:
        engine = Engine.load()
        found = check(engine)
        remember(found, engine, discovery.data_folder())  # the model process need not do it again
        print(f"The self-test passed: {found}.")
    except WeightsError as error:
        print(error)
    except UvatarError as error:
        print(error.message)
        print(error.fix)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
