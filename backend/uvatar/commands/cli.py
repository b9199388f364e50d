"""The ``uvatar`` command. What a command needs is imported when it runs, so that asking for help takes no time."""

from __future__ import annotations

import sys

import typer

from uvatar.commands import batch, doctor, evaluate, reconstruct, servers, weights
from uvatar.commands.job_options import with_job_options
from uvatar.protocol.options import BATCH, RECONSTRUCT

HELP = """Make rigged, textured avatars from photos of people.

Try:  uvatar reconstruct me.jpg --out avatars

A server does the work and keeps its models loaded. It is started when needed,
and the Blender add-on uses the same one."""


def make_app() -> typer.Typer:
    """All commands, with the job options as they are declared now."""
    app = _group(HELP)
    app.command(RECONSTRUCT)(with_job_options(RECONSTRUCT, reconstruct.reconstruct))
    app.command(BATCH)(with_job_options(BATCH, batch.batch))
    for command in (servers.serve, servers.status, servers.stop, servers.forget, servers.logs, doctor.doctor):
        app.command()(command)
    app.command()(weights.weights)
    evaluation = _group("Measure the quality of avatars: on photos, on rendered people, and by the start of the fit.")
    for measure in evaluate.COMMANDS:
        evaluation.command()(measure)
        app.command(f"evaluate-{measure.__name__}", hidden=True)(measure)  # as it was called until 0.1
    app.add_typer(evaluation, name="evaluate")
    return app


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=help_text,
    )


def main() -> None:
    """Entry point of the ``uvatar`` command."""
    from uvatar.protocol.errors import UvatarError
    from uvatar.runtime.terminal import print_anything

    print_anything()
    try:
        make_app()()
    except UvatarError as error:  # of no command's own: there is no place for the data, for example
        sys.exit(f"{error.message} {error.fix}".strip())
