import pathlib
import sys

# What its tests share, by plain names.
sys.path.append(str(pathlib.Path(__file__).parent))
