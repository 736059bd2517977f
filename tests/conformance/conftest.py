import pathlib
import sys

# The modules that the tests share stand beside them.
sys.path.append(str(pathlib.Path(__file__).parent))
