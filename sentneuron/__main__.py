"""`python -m sentneuron`: the same as the console script."""

import sys

from sentneuron.cli import main

sys.exit(main())
