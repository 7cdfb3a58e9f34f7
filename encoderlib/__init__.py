"""encoderlib: the Transformer encoder in small modules that read like the equations.

Everything here is derived in the book, chapter by chapter; each docstring names its chapter.
`testing` and `plots` are imported on demand: ``from encoderlib import plots``.
"""

from encoderlib.attention import (
    MultiHeadAttention,
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_reference,
)
from encoderlib.config import EncoderConfig
from encoderlib.embeddings import PatchEmbedding, TokenEmbedding, patchify, unpatchify
from encoderlib.encoder import Encoder, EncoderLayer
from encoderlib.feedforward import FeedForward
from encoderlib.heads import ClassificationHead, pool
from encoderlib.masks import causal_mask, combine_masks, lengths_to_tokens, padding_mask
from encoderlib.norms import LayerNorm, RMSNorm
from encoderlib.positions import LearnedPositions, SinusoidalPositions, sinusoids
from encoderlib.runtime import device, seed_everything
from encoderlib.text import TextClassifier
from encoderlib.training import EarlyStopping, TrainingConfig, evaluate, fit
from encoderlib.vision import ImageClassifier

__version__ = "0.1.0"

__all__ = [
    "ClassificationHead",
    "EarlyStopping",
    "Encoder",
    "EncoderConfig",
    "EncoderLayer",
    "FeedForward",
    "ImageClassifier",
    "LayerNorm",
    "LearnedPositions",
    "MultiHeadAttention",
    "PatchEmbedding",
    "RMSNorm",
    "SinusoidalPositions",
    "TextClassifier",
    "TokenEmbedding",
    "TrainingConfig",
    "attention_weights",
    "causal_mask",
    "combine_masks",
    "device",
    "evaluate",
    "fit",
    "lengths_to_tokens",
    "padding_mask",
    "patchify",
    "pool",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_reference",
    "seed_everything",
    "sinusoids",
    "unpatchify",
]
