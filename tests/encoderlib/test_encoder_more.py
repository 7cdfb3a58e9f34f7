"""encoderlib.encoder, continued: what the mutation run found untested."""

import torch

from encoderlib import Encoder, EncoderConfig, encoder

CONFIG = EncoderConfig(d_model=14, n_heads=2, d_ff=13, n_layers=1, dropout=0.0)


def test_a_batch_is_packed_on_request_where_it_does_not_pay():
    lengths, x = torch.tensor([5, 4]), torch.randn(2, 5, 14)
    model = Encoder(CONFIG)
    assert model(x, lengths=lengths)[1, 4].any()
    assert not model(x, lengths=lengths, pack=True)[1, 4].any()  # zeros: it was packed


def test_what_pays_is_asked_for_these_lengths_and_sizes(monkeypatch):
    asked = []
    monkeypatch.setattr(encoder, "pack_when_it_pays", lambda *given: asked.append(given))
    lengths = torch.tensor([5, 4])
    Encoder(CONFIG)(torch.randn(2, 5, 14), lengths=lengths)
    with torch.autocast("cpu", torch.bfloat16):
        Encoder(CONFIG)(torch.randn(2, 5, 14), lengths=lengths)
    assert [given[1:] for given in asked] == [(5, 14, torch.float32), (5, 14, torch.bfloat16)]
    assert all(torch.equal(given[0], lengths) for given in asked)
