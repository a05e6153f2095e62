"""`sentneuron generate`: continue a text, and show what a neuron makes of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from sentneuron.commands.options import Bf16, Config, Debug, Device, Fp16, Json, Quiet, Seed, Verbose, Weights, option
from sentneuron.commands.parsing import parse_neuron, parse_precision
from sentneuron.core.atomic import require_place
from sentneuron.core.config import GenerateConfig
from sentneuron.core.errors import UsageError

if TYPE_CHECKING:
    from sentneuron.commands.console import Console
    from sentneuron.core.generation.generate import Generated

HEATMAP_STEM = Path("generated")
"""Name of the heatmap's files where --save names none."""


def generate(
    config: Config = None,
    text: Annotated[str, option(help="Text to continue, or to analyse.")] = GenerateConfig.text,
    gen_length: Annotated[
        int | None, option(help="Bytes to generate after the text; default: 200, none with --heatmap alone.")
    ] = GenerateConfig.gen_length,
    temperature: Annotated[
        float, option(help="Below 1 safer, above 1 wilder; 0 takes the likeliest byte.")
    ] = GenerateConfig.temperature,
    top_k: Annotated[int | None, option(help="Choose among the k likeliest bytes.")] = GenerateConfig.top_k,
    top_p: Annotated[
        float | None, option(help="Choose among the likeliest bytes that hold this probability together.")
    ] = GenerateConfig.top_p,
    num_samples: Annotated[int, option("--num-samples", "-n", help="Samples.")] = GenerateConfig.num_samples,
    seed: Seed = GenerateConfig.seed,
    model: Annotated[
        str | None, option(help="Model; default: model_transfer/classifier.pt here, else the pretrained one.")
    ] = GenerateConfig.model,
    heatmap: Annotated[
        bool, option("--heatmap", help="Colour each character by the neuron's value, here and in PNG and HTML.")
    ] = GenerateConfig.heatmap,
    neuron: Annotated[
        str | None,
        option(
            metavar="I|all",
            help="Neuron to show and to overwrite, or all: show the classifier's score. Default: its heaviest.",
        ),
    ] = None,
    overwrite: Annotated[
        str | None, option(help="Pin the neuron while generating: +1, -1, VALUE, or 2388=1,17=-0.5.")
    ] = GenerateConfig.overwrite,
    negate: Annotated[bool, option("--negate", help="Flip the colours.")] = GenerateConfig.negate,
    save: Annotated[
        Path | None, option(help="File for the samples; .jsonl also holds the neuron's values.")
    ] = GenerateConfig.save,
    precision: Weights = None,
    fp16: Fp16 = False,
    bf16: Bf16 = False,
    device: Device = GenerateConfig.device,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Continue a text byte by byte, or colour it (--heatmap)."""
    from sentneuron.commands.console import Console

    console = Console(quiet, verbose, json)
    settings = GenerateConfig(
        text=text,
        gen_length=gen_length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        num_samples=num_samples,
        model=model,
        heatmap=heatmap,
        neuron=GenerateConfig.neuron if neuron is None else parse_neuron(neuron),
        overwrite=overwrite,
        negate=negate,
        save=save,
        seed=seed,
        precision=parse_precision(precision, fp16=fp16, bf16=bf16, default=GenerateConfig.precision),
        device=device,
    )
    if save is not None and heatmap and save.suffix in (".png", ".html"):
        raise UsageError(
            f"--save {save} names the text's file", hint="give a .txt or .jsonl; the picture goes beside it"
        )
    if save is not None and save.suffix == ".json":
        raise UsageError(f"--save {save}: there is one object a sample", hint="give a .jsonl, or a .txt for the text")

    for file in named_files(settings):
        require_place(file)

    from sentneuron.core.generation import generate as engine  # torch costs seconds to import; --help must not pay them
    from sentneuron.core.model.checkpoint import load_model
    from sentneuron.core.model.device import pick_device
    from sentneuron.core.model.locate import find_model

    path, phrase = find_model(settings.model)
    console.say(f"model: {phrase}")
    saved = load_model(path, device=pick_device(settings.device))
    if settings.num_samples == 1 and not settings.heatmap and not json:
        try:
            keep = settings.save is not None
            made = engine.generate(saved, settings, keep=keep, on_text=stream, announce=console.say)
        except KeyboardInterrupt:  # what has been written stays; what is said next gets a line of its own
            stream("\n")
            raise
        stream("\n")
    else:
        label = "generating" if engine.num_bytes_to_generate(settings) else "reading"
        with console.progress(label) as update:
            made = engine.generate(saved, settings, progress=update, announce=console.say)
        if not json:
            show(made, console)
    files = write_files(made, settings)
    if files:
        console.say(f"wrote {', '.join(map(str, files))}")
    console.result(
        {
            "model": str(path),
            "scale": None if made.scale is None else made.scale.limit,
            "samples": [one.to_dict() for one in made.samples],
            "files": files,
        }
    )


def stream(piece: str) -> None:
    """Write a piece of text to stdout at once; a terminal never gets control characters."""
    from sentneuron.core.printable import printable

    sys.stdout.write(printable(piece) if sys.stdout.isatty() else piece)
    sys.stdout.flush()


def show(made: "Generated", console: "Console") -> None:
    """Print finished samples to stdout, in colours where there is a scale, which goes to stderr."""
    if made.scale is None:
        stream("\n\n".join(one.text for one in made.samples) + "\n")
        return
    from rich.console import Console as RichConsole

    from sentneuron.commands.heatmap_text import SIGNS, has_colours, print_heatmap

    out = RichConsole(highlight=False, markup=False, emoji=False)
    print_heatmap(out, made.samples, made.scale)
    console.say(made.scale.describe())
    if not has_colours(out):
        console.say(SIGNS)


def named_files(settings: GenerateConfig) -> list[Path]:
    """Return the files to write: the samples where --save says, and the heatmap's two beside it or here."""
    files = [] if settings.save is None else [settings.save]
    if settings.heatmap:
        stem = settings.save or HEATMAP_STEM
        files += [stem.with_suffix(".png"), stem.with_suffix(".html")]
    return files


def write_files(made: "Generated", settings: GenerateConfig) -> list[Path]:
    """Write the `named_files`; return them."""
    from sentneuron.core.generation.generate import write_samples

    files = named_files(settings)
    if settings.save is not None:
        write_samples(settings.save, made.samples)
    if made.scale is not None:
        from sentneuron.core.report.heatmap_html import write_html
        from sentneuron.core.report.heatmap_image import write_image

        image, page = files[-2:]
        write_image(image, made.samples, made.scale)
        write_html(page, made.samples, made.scale)
    return files
