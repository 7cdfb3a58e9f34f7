"""The encoder-decoder: from the ids of one sequence to the ids of another (chapter 10).

Source: Vaswani et al. 2017, section 3.
"""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.decoder import Decoder, LayerCache
from encoderlib.embeddings import TokenEmbedding
from encoderlib.encoder import Encoder
from encoderlib.masks import padding_mask
from encoderlib.positions import SinusoidalPositions

__all__ = ["DecoderState", "EncoderDecoder", "shift_right"]


def shift_right(targets: Int[Tensor, "B T"], start_id: int) -> Int[Tensor, "B T"]:
    """The decoder's input for these targets: ``start, y_1, .., y_{T-1}``.

    Position t is then asked for ``y_t`` and has seen only what stands before it. Without the
    shift a decoder learns to copy its input, with a fine loss, and cannot write a word.
    """
    start = targets.new_full((targets.size(0), 1), start_id)  # (B, 1)
    return torch.cat([start, targets], dim=1)[:, :-1]  # (B, T)


@dataclasses.dataclass
class DecoderState:
    """Where decoding stands, for R rows: made by `EncoderDecoder.begin`, moved on by ``step``.

    Args:
        memory: the encoder's output for each row, ``(R, S, D)``.
        memory_mask: hides padding of the source, ``(R, 1, 1, S)``.
        caches: one a layer, or None to compute the whole prefix anew at each step.
        prefix: the tokens so far ``(R, t)``, kept where there are no caches.
    """

    memory: Float[Tensor, "R S D"]
    memory_mask: Bool[Tensor, "R 1 1 S"]
    caches: list[LayerCache] | None
    prefix: Int[Tensor, "R t"]

    def reorder(self, index: Int[Tensor, " R"]) -> None:
        """Row r goes on from what row ``index[r]`` was; both must be beams of one source."""
        self.prefix = self.prefix[index]
        for cache in self.caches or []:
            cache.reorder(index)


class EncoderDecoder(nn.Module):
    """Source ids to scores of target ids: embeddings, encoder, decoder, output projection.

    Args:
        source_vocab: number of source tokens.
        target_vocab: number of target tokens V.
        config: the encoder's sizes, and the decoder's unless it has its own.
        decoder_config: the decoder's sizes; the same ``d_model`` as the encoder's.
        padding_id: of padding, in source and target; never written by `decoding`.
        start_id: what the decoder reads first.
        end_id: what it writes last.
        tie_output: use the target embedding as the output projection's matrix (Press, Wolf 2017,
            "Using the Output Embedding to Improve Language Models"; Vaswani et al., section 3.4).
        share_vocabulary: source and target are one vocabulary and have one embedding.

    Raises:
        ValueError: if the special ids are outside of a vocabulary or padding is the end, if
            ``d_model`` differs, or if vocabularies of different sizes are to be shared.

    Positions are sinusoids, or inside of attention where ``config.positions`` says so.
    `decoding` writes with it: greedy search and sampling; `beam`: beam search. ``nn.Transformer``
    is the two stacks alone, without embeddings, projection or a cache, and leaves the masks to
    the caller.
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        config: EncoderConfig | None = None,
        decoder_config: EncoderConfig | None = None,
        padding_id: int = 0,
        start_id: int = 1,
        end_id: int = 2,
        tie_output: bool = True,
        share_vocabulary: bool = False,
    ):
        super().__init__()
        config = EncoderConfig() if config is None else config
        decoder_config = config if decoder_config is None else decoder_config
        d_model = config.d_model
        if decoder_config.d_model != d_model:
            raise ValueError(
                f"the decoder's d_model={decoder_config.d_model} must be the encoder's {d_model}: "
                "it attends to the encoder's output"
            )
        if share_vocabulary and source_vocab != target_vocab:
            raise ValueError(
                f"a shared vocabulary has one size, got source_vocab={source_vocab} and "
                f"target_vocab={target_vocab}"
            )
        for name, value in (("padding_id", padding_id), ("start_id", start_id), ("end_id", end_id)):
            size = min(source_vocab, target_vocab) if name == "padding_id" else target_vocab
            if not 0 <= value < size:
                raise ValueError(f"{name}={value} must be in 0..{size - 1}, the vocabulary's ids")
        if padding_id == end_id:
            raise ValueError(f"padding_id={padding_id} must differ from end_id: padding is hidden")
        self.padding_id, self.start_id, self.end_id = padding_id, start_id, end_id
        self.source_embedding = TokenEmbedding(source_vocab, d_model, padding_id)
        self.target_embedding = (
            self.source_embedding
            if share_vocabulary
            else TokenEmbedding(target_vocab, d_model, padding_id)
        )
        self.positions = SinusoidalPositions(d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(decoder_config)
        self.output = nn.Linear(d_model, target_vocab)
        if tie_output:
            self.output.weight = self.target_embedding.table.weight

    def forward(
        self, source_ids: Int[Tensor, "B S"], target_ids: Int[Tensor, "B T"]
    ) -> Float[Tensor, "B T V"]:
        """Logits under teacher forcing: ``logits[:, t]`` scores ``target_ids[:, t]``.

        The shift is done here: give the targets as they shall be written, ending with
        ``end_id`` and padded on the right, and compare the logits with the same tensor::

            loss = F.cross_entropy(
                model(source, target).transpose(1, 2), target, ignore_index=model.padding_id
            )
        """
        memory, memory_mask = self.encode(source_ids)
        return self.decode(shift_right(target_ids, self.start_id), memory, memory_mask)

    def encode(
        self, source_ids: Int[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S D"], Bool[Tensor, "B 1 1 S"]]:
        """The encoder's output, and the mask that hides the source's padding from the decoder."""
        mask = padding_mask(source_ids != self.padding_id)  # (B, 1, 1, S)
        x = self._embed(self.source_embedding, source_ids, self.encoder.config)  # (B, S, D)
        return self.encoder(x, mask), mask  # (B, S, D)

    def decode(
        self,
        input_ids: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S D"],
        memory_mask: Bool[Tensor, "B 1 1 S"] | None = None,
        caches: list[LayerCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the next token after each input, which begins with ``start_id``.

        ``input_ids`` is not shifted here. With ``caches`` (`Decoder.make_caches`) it holds the
        new tokens only; their positions follow those in the caches.
        """
        return self.output(self._read(input_ids, memory, memory_mask, caches))  # (B, T, V)

    def begin(
        self,
        source_ids: Int[Tensor, "B S"],
        max_length: int,
        beams: int = 1,
        use_cache: bool = True,
    ) -> DecoderState:
        """Encode, and make room to write ``max_length`` tokens: `decoding.DecodingModel`.

        Rows ``b * beams .. (b + 1) * beams - 1`` of the state belong to source b.
        """
        memory, mask = self.encode(source_ids)
        if beams > 1:
            memory = memory.repeat_interleave(beams, dim=0)  # (R, S, D)
            mask = mask.repeat_interleave(beams, dim=0)  # (R, 1, 1, S)
        rows, size = memory.shape[:2]
        caches = self.decoder.make_caches(rows, max_length, size) if use_cache else None
        return DecoderState(memory, mask, caches, source_ids.new_zeros(rows, 0))

    def step(self, tokens: Int[Tensor, " R"], state: DecoderState) -> Float[Tensor, "R V"]:
        """Read one more token in each row; logits of the next. `decoding.DecodingModel`."""
        inputs = tokens[:, None]  # (R, 1)
        if state.caches is None:
            inputs = state.prefix = torch.cat([state.prefix, inputs], dim=1)  # (R, t)
        x = self._read(inputs, state.memory, state.memory_mask, state.caches)  # (R, t, D)
        return self.output(x[:, -1])  # (R, V)

    def _read(self, ids, memory, memory_mask, caches):
        """The decoder's vectors for these inputs."""
        start = caches[0].target.size if caches else 0
        x = self._embed(self.target_embedding, ids, self.decoder.config, start)  # (B, T, D)
        return self.decoder(x, memory, memory_mask=memory_mask, caches=caches)

    def _embed(self, embedding: TokenEmbedding, ids: Tensor, config: EncoderConfig, start: int = 0):
        """Vectors of tokens that stand at positions ``start``, ``start + 1``, ...."""
        x = embedding(ids)  # (B, T, D)
        if config.positions is None:  # relative ones are inside of attention
            x = self.positions(x, start)
        return F.dropout(x, config.dropout, self.training)
