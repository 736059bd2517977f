import pathlib
import sys

# Its scripts import one another by their plain names.
sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))
