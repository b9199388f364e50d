"""Ctrl+C, also where Python drops the exception that it raises."""

from __future__ import annotations

import signal
import threading
import weakref

import pytest

from uvatar.commands.interrupts import remembered_interrupts

pytestmark = pytest.mark.usefixtures("heeds_ctrl_c")


class Thing:
    pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_while_an_object_is_freed_is_raised_again() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), remembered_interrupts() as end_if_interrupted:  # noqa: PT012
        end_if_interrupted()
        thing = Thing()
        freed = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing  # the exception in this callback is dropped
        done = freed() is None
        end_if_interrupted()
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_elsewhere_it_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), remembered_interrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        pytest.fail("still here")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_handles_or_ignores_it_still_does() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with remembered_interrupts() as end_if_interrupted:
            signal.raise_signal(signal.SIGINT)
            end_if_interrupted()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_the_handler_alone() -> None:
    seen: list[object] = []

    def run() -> None:
        with remembered_interrupts() as end_if_interrupted:
            end_if_interrupted()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
