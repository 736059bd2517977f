"""Entry point of the binaries: flags, help, and errors of one line."""

import pathlib
import sys
import textwrap

from absl import flags
from absl import logging

_HELP = {"--help", "-help", "-h", "--helpshort"}


def run(main):
    """Parses the flags of a binary and runs it.

    A wrong flag ends it with status 2, and what `main` finds wrong (a
    ValueError, TypeError or OSError) with status 1, told in one line on
    standard error; with `--verbosity=1`, by a traceback.

    Args:
        main: function of the arguments that are no flags, only the program's
            name here. Its module defines the flags; its docstring is the help.
    """
    # Not by app.run: it makes TensorFlow look for GPUs before `main` runs, and
    # knows no help of a module that a console script has imported.
    arguments = _parse(sys.argv, sys.modules[main.__module__])
    sys.exit(_guarded(main, arguments))


def _parse(argv, module):
    if _HELP.intersection(argv[1:]):
        print(_help(module))
        sys.exit(0)
    try:
        arguments = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(error, 2)
    if len(arguments) > 1:
        extra = " ".join(arguments[1:])
        _fail(f"Expected flags, --name=value, only; received: {extra}", 2)
    return arguments


def _guarded(main, argv):
    try:
        return main(argv)
    except (ValueError, TypeError, OSError) as error:
        if logging.level_debug():
            raise
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(message, status):
    # Messages of libraries may have many lines.
    line = " ".join(str(message).split())
    print(f"{_program()}: error: {line}", file=sys.stderr)
    sys.exit(status)


def _program():
    # The console script `clel-sample` is the module sample.py.
    name = pathlib.Path(sys.argv[0]).stem
    return f"clel-{name.removeprefix('clel-')}"


def _help(module):
    lines = [module.__doc__.strip(), "", "Flags:"]
    for flag in flags.FLAGS.get_flags_for_module(module):
        lines += _flag_help(flag)
    return "\n".join(lines)


def _flag_help(flag):
    default = f" Default: {flag.default}."
    if flag.default in (None, []):
        default = ""
    text = textwrap.wrap(" ".join(flag.help.split()) + default, 54)
    name = f"  --{flag.name}"
    if len(name) < 22:
        return [f"{name if i == 0 else '':<22}{t}" for i, t in enumerate(text)]
    return [name, *(f"{'':<22}{t}" for t in text)]
