"""The ``uvatar`` command. Each command imports what it needs when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import sys

import typer

from uvatar.commands import batch, doctor, evaluate, reconstruct, servers, view, weights
from uvatar.commands.job_options import with_job_options
from uvatar.protocol.option import BATCH, RECONSTRUCT

HELP = """Make rigged, textured avatars from photos of people.

Try:  uvatar reconstruct me.jpg --out avatars

A server does the work and keeps the models loaded. It is started when needed,
and the Blender add-on uses the same one."""


def make_app() -> typer.Typer:
    """Build the command line, with the job options as they are declared at this moment."""
    app = _group(HELP)
    app.command(RECONSTRUCT)(with_job_options(RECONSTRUCT, reconstruct.reconstruct))
    app.command(BATCH)(with_job_options(BATCH, batch.batch))
    for command in (servers.serve, servers.status, servers.stop, servers.forget, servers.logs, doctor.doctor):
        app.command()(command)
    app.command()(view.view)
    app.command()(weights.weights)
    evaluation = _group("Measure the quality of avatars: on photos, on rendered people, and for each start of the fit.")
    for measure in evaluate.COMMANDS:
        evaluation.command()(measure)
        app.command(f"evaluate-{measure.__name__}", hidden=True)(measure)  # its name until 0.1
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
    """Run the ``uvatar`` command."""
    from uvatar.protocol.errors import UvatarError
    from uvatar.runtime.terminal import print_anything

    print_anything()
    try:
        make_app()()
    except UvatarError as error:  # raised outside any command's own handling, such as for a missing data folder
        sys.exit(f"{error.message} {error.fix}".strip())
