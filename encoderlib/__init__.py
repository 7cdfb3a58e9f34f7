"""encoderlib: the Transformer encoder in small modules that read like the equations.

Everything here is derived in the book, chapter by chapter; each docstring names its chapter.
`testing`, `plots`, `data` and `metrics` are imported on demand: ``from encoderlib import plots``.
"""

from encoderlib.attention import (
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_reference,
)
from encoderlib.beam import beam_search
from encoderlib.cache import KVCache
from encoderlib.config import EncoderConfig
from encoderlib.decoder import Decoder, DecoderLayer
from encoderlib.decoding import greedy, sample
from encoderlib.embeddings import PatchEmbedding, TokenEmbedding, patchify, unpatchify
from encoderlib.encoder import Encoder, EncoderLayer
from encoderlib.feedforward import FeedForward
from encoderlib.heads import AttentionPooling, ClassificationHead, pool
from encoderlib.inputs import ImageEmbedding, TextEmbedding
from encoderlib.masks import causal_mask, combine_masks, lengths_to_tokens, padding_mask
from encoderlib.multihead import MultiHeadAttention
from encoderlib.norms import LayerNorm, RMSNorm
from encoderlib.positions import (
    ConcatenatedPositions,
    LearnedPositions,
    SinusoidalPositions,
    sinusoids,
)
from encoderlib.relative import ALiBi, ShawRelativePositions, T5RelativeBias
from encoderlib.rotary import RotaryPositions
from encoderlib.runtime import device, fast, has_fast_bfloat16, seed_everything
from encoderlib.seq2seq import EncoderDecoder, shift_right
from encoderlib.text import TextClassifier, TokenClassifier
from encoderlib.tokenization import Tokenizer, align_labels, collate
from encoderlib.training import (
    Checkpoints,
    CSVLogger,
    EarlyStopping,
    LengthBucketSampler,
    TensorBoardLogger,
    TrainingConfig,
    cross_entropy_loss,
    evaluate,
    fit,
    join_ranks,
)
from encoderlib.vision import ImageClassifier

__version__ = "0.2.0"

__all__ = [
    "ALiBi",
    "AttentionPooling",
    "CSVLogger",
    "Checkpoints",
    "ClassificationHead",
    "ConcatenatedPositions",
    "Decoder",
    "DecoderLayer",
    "EarlyStopping",
    "Encoder",
    "EncoderConfig",
    "EncoderDecoder",
    "EncoderLayer",
    "FeedForward",
    "ImageClassifier",
    "ImageEmbedding",
    "KVCache",
    "LayerNorm",
    "LearnedPositions",
    "LengthBucketSampler",
    "MultiHeadAttention",
    "PatchEmbedding",
    "RMSNorm",
    "RotaryPositions",
    "ShawRelativePositions",
    "SinusoidalPositions",
    "T5RelativeBias",
    "TensorBoardLogger",
    "TextClassifier",
    "TextEmbedding",
    "TokenClassifier",
    "TokenEmbedding",
    "Tokenizer",
    "TrainingConfig",
    "align_labels",
    "attention_weights",
    "beam_search",
    "causal_mask",
    "collate",
    "combine_masks",
    "cross_entropy_loss",
    "device",
    "evaluate",
    "fast",
    "fit",
    "greedy",
    "has_fast_bfloat16",
    "join_ranks",
    "lengths_to_tokens",
    "padding_mask",
    "patchify",
    "pool",
    "sample",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_reference",
    "seed_everything",
    "shift_right",
    "sinusoids",
    "unpatchify",
]
