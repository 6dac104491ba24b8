"""Turns a text into tokens: `python -m katas.k09_capstone.prepare_data TEXT OUT_DIR`."""

import click

from katas.k09_capstone import capstone


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False))
@click.argument("out_dir", type=click.Path(file_okay=False))
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="The share kept for validation.",
)
def main(text: str, out_dir: str, val_fraction: float) -> None:
    """Write TEXT as tokens, for training and validation, into OUT_DIR."""
    click.echo(capstone.prepare_data(text, out_dir, val_fraction))


if __name__ == "__main__":
    main()
