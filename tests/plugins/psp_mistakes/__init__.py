"""Mistakes that bridges make when they sign or send API-2, as an outsider writes them, with the notes they must get."""

from tests.plugins.psp_mistakes.pairs import PAIRS
from tests.plugins.psp_mistakes.request import REQUEST
from tests.plugins.psp_mistakes.text import TEXT
from tests.plugins.psp_mistakes.values import VALUES

MISTAKES = (*VALUES, *TEXT, *REQUEST, *PAIRS)
