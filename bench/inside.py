"""``python -m bench.inside MODULE ARGUMENTS``: call ``MODULE.main`` once Django is set up.

The benchmark itself starts the servers that the settings name, so it cannot have read the settings before.
"""

import importlib
import sys

import django

if __name__ == "__main__":
    django.setup()
    importlib.import_module(sys.argv[1]).main(*sys.argv[2:])
