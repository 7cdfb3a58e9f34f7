"""Data sets: generators and digits that need no network, and loaders of the official files.

The generators know the truth about what they make, down to the floor that a bag of words or a
guess reaches. The loaders read the official formats as they are, look for the files where
`encoderlib.data.download` says, and check them.
"""

from encoderlib.data.dates import DATE_CHARACTERS, DATE_FORMATS, DatePairs, DateTask, date_task
from encoderlib.data.digits import WRITER_STARTS, Digits, LabelledImages, load_digits, random_shift
from encoderlib.data.download import DataError
from encoderlib.data.images import (
    ImagePart,
    ImageSet,
    load_cifar10,
    load_fashion_mnist,
    load_mnist,
)
from encoderlib.data.negation import NegationTask, Opinions, negation_task
from encoderlib.data.order import OrderTask, order_task
from encoderlib.data.recall import RecallTask, recall_task
from encoderlib.data.shapes import COLOURS, SHAPES, ShapesTask, shapes_task
from encoderlib.data.snips import SNIPS_INTENTS, Snips, Utterances, bio_tags, load_snips
from encoderlib.data.texts import (
    LabelledTexts,
    TextSet,
    drop_leaked,
    load_ag_news,
    load_chnsenticorp,
    load_tiny_shakespeare,
)
from encoderlib.data.tones import TonesTask, tone_frequencies, tones_task
from encoderlib.data.translation import (
    AttributedPairs,
    SentencePairs,
    TranslationSet,
    load_multi30k,
    load_tatoeba,
)

__all__ = [
    "COLOURS",
    "DATE_CHARACTERS",
    "DATE_FORMATS",
    "SHAPES",
    "SNIPS_INTENTS",
    "WRITER_STARTS",
    "AttributedPairs",
    "DataError",
    "DatePairs",
    "DateTask",
    "Digits",
    "ImagePart",
    "ImageSet",
    "LabelledImages",
    "LabelledTexts",
    "NegationTask",
    "Opinions",
    "OrderTask",
    "RecallTask",
    "SentencePairs",
    "ShapesTask",
    "Snips",
    "TextSet",
    "TonesTask",
    "TranslationSet",
    "Utterances",
    "bio_tags",
    "date_task",
    "drop_leaked",
    "load_ag_news",
    "load_chnsenticorp",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "load_multi30k",
    "load_snips",
    "load_tatoeba",
    "load_tiny_shakespeare",
    "negation_task",
    "order_task",
    "random_shift",
    "recall_task",
    "shapes_task",
    "tone_frequencies",
    "tones_task",
]
