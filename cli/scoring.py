"""The command that runs a model over a pool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import Json, app
from .printing import fail, open_console, print_json


@app.command()
def score(
    model: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the model.")
    ],
    data: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the DataLoader.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the arrays; a stopped run goes on.")
    ],
    outputs: Annotated[
        str, typer.Option(metavar="NAME,…", help="Any of the fields of labelcut.models.Scores.")
    ] = "probs,embeddings",
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="State dict (torch.save or .safetensors)."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where to run, such as cuda. [where the model is]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer whose input is the embedding. [the last one]")
    ] = None,
    pool: Annotated[str, typer.Option(help="Embedding maps: flatten or mean.")] = "flatten",
    apply: Annotated[str, typer.Option(help="softmax; none if the model ends in one.")] = "softmax",
    amp: Annotated[str, typer.Option(help="Mixed precision: auto or off.")] = "auto",
    passes: Annotated[int, typer.Option(help="Passes with dropout, for bald.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of these passes.")] = 0,
    as_json: Json = False,
) -> None:
    r"""Run a torch classifier over a dataset and write what it says of every row.

    Example: mymodule.py has make_model(), which returns a torch module, and
    make_loader(), which returns a DataLoader in dataset order. Then

        labelcut score --model mymodule:make_model --weights w.pt \
        --data mymodule:make_loader --outputs probs,embeddings,entropy \
        --device cuda --out scores/

    writes probs.npy, embeddings.npy and entropy.npy into scores/, one row for
    each of the dataset. Stop it at any time: the same command goes on. Weights
    are read without unpickling. A problem file then says
    probs = "scores/probs.npy" and utility = "scores/entropy.npy".
    """
    from ..models.named import call_named, load_weights
    from ..models.scoring import score as run

    try:
        network = call_named(model, "--model")
        if weights is not None:
            load_weights(network, weights)
        found = run(
            network,
            call_named(data, "--data"),
            outputs=[name.strip() for name in outputs.split(",")],
            device=device,
            out=out,
            layer=layer,
            pool=pool,  # type: ignore[arg-type]
            apply=apply,  # type: ignore[arg-type]
            amp=amp,  # type: ignore[arg-type]
            passes=passes,
            seed=seed,
            progress=sys.stderr.isatty(),
        )
    except (ValueError, TypeError) as error:
        fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        fail(f"interrupted; the same command goes on with what is in {out}", 130)
    arrays = {name: array for name, array in vars(found).items() if array is not None}
    if as_json:
        files = {
            name: {"file": f"{name}.npy", "shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in arrays.items()
        }
        print_json("scores", str(out), files)
        return
    for name, array in arrays.items():
        shape = " x ".join(f"{n:,}" for n in array.shape)
        size = f"{array.nbytes / 1e6:,.1f} MB"
        open_console().print(f"{out / name}.npy   {shape} {array.dtype}, {size}")
