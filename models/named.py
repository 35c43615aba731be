"""Models, weights and loaders that are named as text, as on the command line."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from typing import Any

_NESTED = ("state_dict", "model_state_dict", "model")


def call_named(name: str, argument: str) -> Any:
    """Call a function named ``module:function``, the module found from the current folder too.

    Parameters
    ----------
    name
        As in ``mymodule:make_model``; the function takes no arguments.
    argument
        What errors call it.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    ValueError
        If the name is no such name, the module cannot be imported, raises an error itself, or has
        no such function.

    Examples
    --------
    >>> call_named("collections:OrderedDict", "--model")
    OrderedDict()
    """
    return find_named(name, argument)()


def find_named(name: str, argument: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return a function named ``module:function`` or ``path/file.py:function``.

    Parameters
    ----------
    name
        The name; the module is found from `folder` too, and a path is relative to it.
    argument
        What errors call it.
    folder
        Default: the current folder.

    Raises
    ------
    ValueError
        As `call_named` does.

    Examples
    --------
    >>> find_named("math:hypot", "--model")(3, 4)
    5.0
    """
    module, colon, function = name.rpartition(":")
    if not (module and colon and function):
        raise ValueError(
            f"{argument}: must be MODULE:FUNCTION; {name!r} came; write mymodule:make_model"
        )
    home = _home(module, argument, Path.cwd() if folder is None else folder.resolve())
    found = getattr(home, function, None)
    if not callable(found):
        raise ValueError(
            f"{argument}: {module} must have a function {function}; it has none; "
            f"see {getattr(home, '__file__', module)}"
        )
    return found  # type: ignore[no-any-return]


def _home(module: str, argument: str, folder: Path) -> Any:
    """Import a module by its name or by the path of its file."""
    is_path = module.endswith(".py")
    path = folder / module
    if is_path and not path.is_file():
        raise ValueError(f"{argument}: {path} must be a file; it is none; check the path")
    if (is_path or "" not in sys.path) and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if not is_path:
        try:
            return import_module(module)
        except ImportError as error:
            raise ValueError(
                f"{argument}: module {module} must be importable; {error}; run in its folder, or "
                "put that on PYTHONPATH"
            ) from None
        except Exception as error:  # the user's own code may raise anything
            raise ValueError(_broken(module, argument, error)) from error
    # A name that no module has: a user's study.py must not hide another one.
    known = f"_labelcut_file_{path.resolve()}"
    if known not in sys.modules:
        spec = spec_from_file_location(known, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[known])
        except BaseException as error:
            del sys.modules[known]
            if isinstance(error, Exception):
                raise ValueError(_broken(module, argument, error)) from error
            raise
    return sys.modules[known]


def _broken(module: str, argument: str, error: Exception) -> str:
    """Say what a user's module raised, and at which line."""
    if isinstance(error, SyntaxError):
        what, file, line = error.msg, error.filename, error.lineno
    else:
        last = extract_tb(error.__traceback__)[-1]
        what, file, line = str(error), last.filename, last.lineno
    return (
        f"{argument}: {module} must be importable; {type(error).__name__}: {what} ({file}, line "
        f"{line}); mend it there"
    )


def load_weights(model: Any, path: Path) -> None:
    """Load weights into a model from a file that runs no code: safetensors, or torch's own.

    Files of torch are read with ``weights_only=True``, so that nothing in them is unpickled but
    tensors and plain containers.

    Parameters
    ----------
    model
        A `torch.nn.Module`.
    path
        ``.safetensors``, or what ``torch.save`` wrote: a state dict, or a checkpoint that holds it
        under ``state_dict``, ``model_state_dict`` or ``model``.

    Raises
    ------
    ValueError
        If the file is missing or holds anything else, or its weights do not fit the model.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ValueError(
            f"--model: must make a torch.nn.Module; {type(model).__name__} came; return the model"
        )
    if not path.is_file():
        raise ValueError(f"--weights: must be a file; {path} is none; check the path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every library has its own for a file it does not like
        raise ValueError(
            f"--weights: {path} must be safetensors or weights that torch.save wrote; "
            f"{_short(error)}; save model.state_dict()"
        ) from None
    if isinstance(state, Mapping):
        state = next((state[k] for k in _NESTED if isinstance(state.get(k), Mapping)), state)
    if not isinstance(state, Mapping):
        raise ValueError(
            f"--weights: {path} must hold a state dict; {type(state).__name__} came; save "
            "model.state_dict()"
        )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"--weights: {path} must fit the model; {_short(error)}; check --model"
        ) from None


def _short(error: Exception) -> str:
    """Return the beginning of an error's message on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} …"
