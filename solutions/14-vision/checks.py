"""Visible checks of assignment 14: each says what is wrong in terms of the idea.

Expected values are computed another way than the tasks ask for: pixel by pixel, by a convolution,
by a table of weights. A check that passes is not the whole story: the grader runs further tests.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib.testing import call_answer, check_close, check_dtype, check_shape, check_tensor

__all__ = [
    "check_budget",
    "check_cut",
    "check_embed",
    "check_resize_positions",
    "check_threshold",
    "check_true_positives",
    "check_vit",
]

KEPT = "Work on a copy: the caller still needs what it gave."


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _pair(name: str, got: object) -> tuple:
    """A pair, or an explanation."""
    _require(
        isinstance(got, (tuple, list)) and len(got) == 2,
        f"{name} must return a pair, got {type(got).__name__}"
        f"{f' of {len(got)}' if isinstance(got, (tuple, list)) else ''}.",
    )
    return tuple(got)


def _must_refuse(claim: str, why: str, function: Callable, *arguments: object) -> None:
    """A ValueError is due."""
    try:
        function(*arguments)
    except ValueError:
        return
    except NotImplementedError:
        raise
    except Exception as error:
        raise AssertionError(
            f"{claim} must raise a ValueError, raises {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"{claim} must raise a ValueError: {why}")


# ---------------------------------------------------------------- 1. budget


def check_budget(budget: Callable) -> None:
    """Two cases of the task, one that is not square, and images that are not tiled."""
    for height, width, side, stride, heads in (
        (224, 224, 16, 16, 4),
        (224, 224, 16, 8, 4),
        (9, 21, 3, 2, 5),
    ):
        claim = f"{height} x {width} pixels, patches of {side}, {stride} apart"
        got = call_answer("budget", budget, height, width, side, stride, heads)
        tokens, size = _pair("budget", got)
        rows, columns = 1 + (height - side) // stride, 1 + (width - side) // stride
        right = rows * columns + 1
        slips = {
            rows * columns: "the class token is a token, too.",
            (height // side) * (width // side) + 1: "this counts patches that do not overlap.",
            (height // stride) * (width // stride) + 1: "the first patch begins at 0 and the last "
            "one ends at the border: count the steps between them.",
            (rows - 1) * (columns - 1) + 1: "there is one patch more than steps.",
            rows * rows + 1: "the image is not square: rows and columns have numbers of their own.",
            columns * columns + 1: "the image is not square: rows and columns have numbers of "
            "their own.",
            rows + columns + 1: "each row of the grid has all columns: multiply.",
            rows * columns * side * side + 1: "this counts the pixels of the patches.",
            height * width + 1: "pixels are not the tokens here.",
        }
        _require(
            tokens == right,
            f"budget: {claim}: the number of tokens is not right. "
            f"{slips.get(tokens, '').capitalize()}",
        )
        scores = right * right
        slips = {
            heads * scores: "a float of 16 bits has two bytes.",
            4 * heads * scores: "these are floats of 32 bits; the task has 16.",
            16 * heads * scores: "16 bits are two bytes.",
            2 * scores: "every head has scores of its own.",
            2 * heads * right: "every token compares itself with every token: the square.",
            2 * heads * (right - 1) ** 2: "the class token compares itself, too.",
            heads * right * (right - 1): "a token compares itself with itself, too, and each pair "
            "has two scores.",
        }
        _require(
            size == 2 * heads * scores,
            f"budget: {claim}: the bytes are not right. {slips.get(size, '').capitalize()}",
        )
    for height, width, stride, part in (
        (30, 32, 16, "height"),
        (32, 30, 16, "width"),
        (5, 27, 11, "height"),
    ):
        _must_refuse(
            f"{height} x {width} pixels in patches of 16, {stride} apart",
            f"the {part} leaves pixels that are in no patch.",
            budget,
            *(height, width, 16, stride, 4),
        )
    _done("budget")


# ---------------------------------------------------------------- 2. cut


def _grid(height: int, width: int, side: int, stride: int) -> tuple[int, int]:
    return tuple(1 + math.ceil(max(size - side, 0) / stride) for size in (height, width))


def _cut(
    images: Tensor, side: int, stride: int, order: str = "ijc", fill: str = "border"
) -> Tensor:
    """Pixel by pixel; ``order`` and ``fill`` make the known mistakes."""
    b, _, height, width = images.shape
    rows, columns = _grid(height, width, side, stride)
    if fill in ("drop", "stretch"):
        rows, columns = (max(1, (size - side) // stride + 1) for size in (height, width))
    patches = []
    for r in range(rows):
        for q in range(columns):
            ys = torch.arange(side) + r * stride
            xs = torch.arange(side) + q * stride
            if fill == "before":  # continued above and on the left
                ys = ys - ((rows - 1) * stride + side - height)
                xs = xs - ((columns - 1) * stride + side - width)
            outside = (ys >= height)[:, None] | (xs >= width)[None]
            if fill == "reflect":
                ys = torch.where(ys < height, ys, 2 * (height - 1) - ys)
                xs = torch.where(xs < width, xs, 2 * (width - 1) - xs)
            if fill == "wrap":
                ys, xs = ys % height, xs % width
            patch = images[:, :, ys.clamp(0, height - 1)][:, :, :, xs.clamp(0, width - 1)]
            if fill == "zero":
                patch = patch.masked_fill(outside, 0.0)
            axes = [1 + "cij".index(axis) for axis in order]
            patches.append(patch.permute(0, *axes).reshape(b, -1))
    return torch.stack(patches, dim=1)


def check_cut(cut: Callable) -> None:
    """A tiled image, one that is not, one smaller than a patch, refusals."""
    for c, height, width, side, stride in (
        (3, 4, 6, 2, 2),
        (2, 6, 6, 4, 2),
        (3, 7, 9, 4, 3),
        (2, 5, 8, 3, 2),
        (2, 8, 7, 4, 3),
        (1, 2, 3, 4, 2),
    ):
        images = _randn(1, 2, c, height, width)
        kept = images.clone()
        claim = f"cut: {c} x {height} x {width} pixels, side {side}, stride {stride}"
        patches, grid = _pair("cut", call_answer("cut", cut, images, side, stride))
        _require(torch.equal(images, kept), f"cut changes its input. {KEPT}")
        check_tensor(f"{claim}: the patches", patches)
        right = _cut(images, side, stride)
        rows, columns = _grid(height, width, side, stride)
        if patches.dim() == 3 and patches.size(1) != rows * columns:
            n = [(size - side) // stride + 1 for size in (height, width)]
            aside = rows * stride + side - stride - height, columns * stride + side - stride - width
            turned = (height + aside[1], width + aside[0])
            turned = [(size - side) // stride + 1 for size in turned]
            ends = [" The pixels at the right border are cut off: continue the image."]
            ends += [" The pixels at the lower border are cut off: continue the image."]
            ends += [" The pixels at the border are cut off: continue the image."]
            hint = ""
            if patches.size(1) in (n[0] * n[1], n[0] * columns, rows * n[1]):
                lost = rows > n[0] and patches.size(1) != rows * n[1]
                lost_right = columns > n[1] and patches.size(1) != n[0] * columns
                hint = ends[2 if lost and lost_right else 1 if lost else 0]
                if min(turned) > 0 and patches.size(1) == turned[0] * turned[1]:
                    hint += (
                        " Or it is continued, but on the wrong side: F.pad takes left, right, top, "
                        "bottom."
                    )
            elif patches.size(1) > rows * columns:
                hint = " Continue the image by as few pixels as possible, none if none is needed."
            raise AssertionError(
                f"{claim}: {patches.size(1)} patches instead of {rows} * {columns}.{hint}"
            )
        check_shape(claim, patches, {"B": 2, "N": rows * columns, "P*P*C": right.size(-1)})
        check_dtype(claim, patches, images.dtype)
        wrong = {
            "the channel comes first: the task has row, column, channel": _cut(
                images, side, stride, "cij"
            ),
            "rows and columns within a patch have changed places": _cut(
                images, side, stride, "jic"
            ),
            "the channel stands between row and column": _cut(images, side, stride, "icj"),
            "column, then channel, then row": _cut(images, side, stride, "jci"),
            "the channel comes first, then column, then row": _cut(images, side, stride, "cji"),
            "the image is continued by zeros, not by its border": _cut(
                images, side, stride, fill="zero"
            ),
            "the image is mirrored at its border: repeat the border": _cut(
                images, side, stride, fill="reflect"
            ),
            "the image begins again at its other side": _cut(images, side, stride, fill="wrap"),
            "the image is continued above and on the left": _cut(
                images, side, stride, fill="before"
            ),
            "the patches stand column by column": (
                right.unflatten(1, (rows, columns)).transpose(1, 2).flatten(1, 2)
            ),
            "the image is reshaped without moving axes": (
                images.reshape(right.shape) if images.numel() == right.numel() else right
            ),
        }
        check_close(claim, patches, right, wrong)
        try:
            grid = tuple(int(n) for n in grid)
        except TypeError as error:
            raise AssertionError(f"{claim}: the grid must be a pair of integers.") from error
        swapped = " Rows come first." if grid == (columns, rows) else ""
        _require(
            grid == (rows, columns),
            f"{claim}: the grid is {grid}, must be {(rows, columns)}.{swapped}",
        )
    for side, stride in ((3, 4), (3, 0)):
        _must_refuse(
            f"stride {stride} with patches of {side}",
            "pixels would be skipped, or nothing moves.",
            cut,
            *(torch.zeros(1, 1, 9, 9), side, stride),
        )
    leaf = _randn(2, 1, 1, 4, 4).requires_grad_()
    patches, _ = cut(leaf, 2, 2)
    _require(patches.requires_grad, "cut loses the gradient: is there a detach?")
    _done("cut")


# ---------------------------------------------------------------- 3. the model


def _vit_logits(model: nn.Module, images: Tensor, side: int, read: str, slip: str = "") -> Tensor:
    """The logits by a convolution; ``slip`` makes the known mistakes."""
    d = model.cls.numel()
    weight = model.project.weight.view(d, images.size(1), side, side)
    if slip == "order":
        weight = model.project.weight.view(d, side, side, images.size(1)).permute(0, 3, 1, 2)
    x = F.conv2d(images, weight, model.project.bias, stride=side)
    x = (x.transpose(2, 3) if slip == "columns" else x).flatten(2).mT
    cls = model.cls.expand(len(x), 1, d)
    rows, columns = model.rows, model.columns
    n, m = len(rows), len(columns)
    places = rows.repeat_interleave(m, dim=0) + columns.repeat(n, 1)
    if slip == "places by column":
        places = rows.repeat(m, 1) + columns.repeat_interleave(n, dim=0)
    if slip == "rows alone":
        places = rows.repeat_interleave(m, dim=0)
    if slip == "columns alone":
        places = columns.repeat(n, 1)
    if slip == "no positions":
        places = torch.zeros_like(places)
    if slip == "reshaped":
        x = model.project(images.reshape(len(x), n * m, -1))
    if slip == "pixels last, reshaped":
        x = model.project(images.movedim(1, -1).reshape(len(x), n * m, -1))
    if slip == "unfold reshaped":
        x = model.project(F.unfold(images, side, stride=side).reshape(len(x), n * m, -1))
    x = x + places
    h = torch.cat([cls, x], dim=1)
    if slip == "cls with position":
        h = torch.cat([cls + places[:1], x], dim=1)
    if slip == "absent":
        z = model.encoder(x)
        z = torch.cat([z[:, :1], z], dim=1)
    else:
        z = h if slip == "no encoder" else model.encoder(h)
    first, rest = z[:, 0], z[:, 1:].mean(1)
    if slip == "behind, read in front":
        z = model.encoder(torch.cat([x, cls], dim=1))
        first, rest = z[:, 0], z[:, 1:].mean(1)
    if slip == "mean of all":
        rest = z.mean(1)
    if slip == "sum":
        rest = z[:, 1:].sum(1)
    if slip == "max":
        rest = z[:, 1:].amax(1)
    if slip == "last":
        first = z[:, -1]
    both = [rest, first] if slip == "turned" else [first, rest]
    vector = {"cls": first, "mean": rest, "both": torch.cat(both, dim=-1)}[read]
    if slip == "exchanged" and read != "both":
        vector = {"cls": rest, "mean": first}[read]
    logits = vector @ model.head.weight.T + model.head.bias
    return logits.softmax(-1) if slip == "softmax" else logits


SLIPS = {
    "the class token counts in the mean: leave it out": "mean of all",
    "the class token stands behind the patches, but row 0 is read": "behind, read in front",
    "the class token gets the position of the first patch: it gets none": "cls with position",
    "the positions are not added": "no positions",
    "the row's vector is added, the column's is not": "rows alone",
    "the column's vector is added, the row's is not": "columns alone",
    "the addresses are counted column by column, the patches row by row": "places by column",
    "the image is reshaped without moving axes": "reshaped",
    "the channels are moved, but the image is reshaped: the patches are no squares": (
        "pixels last, reshaped"
    ),
    "the result of F.unfold is reshaped: its axes have to be turned": "unfold reshaped",
    "there is no class token among the tokens": "absent",
    "the encoder is not called": "no encoder",
    "the patches are summed, not averaged": "sum",
    "the largest of each column is taken, not the mean": "max",
    "the last token is read instead of the class token": "last",
    "mean and class token have changed places": "turned",
    "'cls' and 'mean' are exchanged": "exchanged",
    "the numbers of a patch are in the order row, column, channel": "order",
    "the patches stand column by column": "columns",
    "a softmax is applied: logits are asked for": "softmax",
}


def check_vit(model_class: Callable) -> None:
    """Parameters, logits in the three readings, refusals."""
    height, width, side, channels, d, classes = 4, 6, 2, 3, 8, 5
    state = torch.get_rng_state()
    for read in ("cls", "mean", "both"):
        torch.manual_seed(7)
        encoder = nn.TransformerEncoderLayer(d, 2, 16, dropout=0.0, batch_first=True).eval()
        model = call_answer(
            "VisionTransformer",
            model_class,
            *(height, width, side, channels, d, classes, encoder),
            read=read,
        )
        _require(isinstance(model, nn.Module), "VisionTransformer must be a module.")
        shapes = {
            name: tuple(p.shape)
            for name, p in model.named_parameters()
            if not name.startswith("encoder.")
        }
        expected = {
            "project.weight": (d, channels * side * side),
            "project.bias": (d,),
            "cls": (d,),
            "rows": (2, d),
            "columns": (3, d),
            "head.weight": (classes, 2 * d if read == "both" else d),
            "head.bias": (classes,),
        }
        for name, shape in expected.items():
            _require(
                name in shapes,
                f"VisionTransformer has no parameter {name!r}: is it an nn.Parameter, or a module, "
                "that is set on self?",
            )
            _require(
                shapes[name] == shape,
                f"read={read!r}: the parameter {name!r} has shape {shapes[name]}, must be {shape}.",
            )
        extra = set(shapes) - set(expected)
        _require(not extra, f"VisionTransformer has parameters that nobody asked for: {extra}.")
        _require(
            any(name.startswith("encoder.") for name, _ in model.named_parameters()),
            "VisionTransformer: the encoder is not a part of the module: keep it on self.",
        )
        _require(not bool(model.cls.any()), "VisionTransformer: the class token starts as zeros.")
        spread = float(torch.cat([model.rows.detach(), model.columns.detach()]).std())
        _require(
            0.3 < spread < 0.7,
            "VisionTransformer: rows and columns are drawn with standard deviation 0.5, got "
            f"{spread:.2f}.",
        )
        with torch.no_grad():
            for number, p in enumerate(model.parameters()):
                p.copy_(0.5 * _randn(20 + number, *p.shape))
        model.eval()
        images = _randn(3, 2, channels, height, width)
        with torch.no_grad():
            got = call_answer("VisionTransformer.forward", model, images)
            check_shape(f"logits with read={read!r}", got, {"B": 2, "classes": classes})
            wrong = {
                why: _vit_logits(model, images, side, read, slip) for why, slip in SLIPS.items()
            }
            right = _vit_logits(model, images, side, read)
            check_close(f"logits with read={read!r}", got, right, wrong, tolerance=1e-4)
    torch.set_rng_state(state)
    made = (height, width, side, channels, d, classes, nn.Identity())
    for wrong_size in ((5, 6, 2), (4, 5, 2)):
        _must_refuse(
            f"an image of {wrong_size[0]} x {wrong_size[1]} with patches of 2",
            "the patches do not tile it.",
            model_class,
            *(*wrong_size, *made[3:]),
        )
    _must_refuse("read='max'", "it is 'cls', 'mean' or 'both'.", model_class, *made, "max")
    for shape in ((2, 3, 6, 4), (2, 1, 4, 6)):
        _must_refuse(
            f"images of {shape[1:]} for a model of (3, 4, 6)",
            "the positions would stand for other places.",
            model,
            torch.zeros(shape),
        )
    _done("VisionTransformer")


# ---------------------------------------------------------------- 4. debug


def check_embed(embed: Callable) -> None:
    """Values, named mistakes, two fields."""
    for c, height, width, side, d in ((2, 4, 6, 2, 6), (3, 6, 3, 3, 5)):
        state = torch.get_rng_state()
        torch.manual_seed(5)
        project = nn.Linear(c * side * side, d)
        torch.set_rng_state(state)
        n = height * width // side**2
        positions = _randn(6, n, d)
        images = 1 + 2 * _randn(4, 2, c, height, width)
        kept = images.clone()
        with torch.no_grad():
            got = call_answer("embed", embed, images, side, project, positions)
            _require(torch.equal(images, kept), f"embed changes its input. {KEPT}")
            claim = f"embed: {c} x {height} x {width} pixels, side {side}"
            check_shape(claim, got, {"B": 2, "N": n, "D": d})

            def tokens(
                x: Tensor, project: nn.Linear = project, side: int = side, c: int = c
            ) -> Tensor:
                weight = project.weight.view(-1, c, side, side)
                return F.conv2d(x, weight, project.bias, stride=side).flatten(2).mT

            def norm(x: Tensor, *axes: int) -> Tensor:
                axes = axes or (-1,)
                apart = x - x.mean(axes, keepdim=True)
                return apart / (apart.square().mean(axes, keepdim=True) + 1e-5).sqrt()

            last = images.movedim(1, -1)
            hue = norm(last)
            rows = last.reshape(2, n, -1)
            squares = F.unfold(images, side, stride=side).mT
            plain = tokens(images)
            channels_last = squares.unflatten(-1, (c, side * side)).mT.flatten(-2)
            wrong = {
                "this is the function as it was: the norm comes before the projection, and the "
                "patches are no squares": project(hue.reshape(2, n, -1)) + positions,
                "the norm over the channels of a pixel is still there, before the projection": (
                    tokens(hue.movedim(-1, 1)) + positions
                ),
                "the norm over the channels of a pixel is there, and a second one": (
                    norm(tokens(hue.movedim(-1, 1))) + positions
                ),
                "the patches are no squares: the image is reshaped without moving axes": (
                    norm(project(rows)) + positions
                ),
                "the patches are no squares: (B, C, height, width) is reshaped": (
                    norm(project(images.reshape(2, n, -1))) + positions
                ),
                "the result of F.unfold is reshaped: its axes have to be turned": (
                    norm(project(squares.mT.reshape(2, n, -1))) + positions
                ),
                "the patches stand column by column": (
                    norm(plain.unflatten(1, (height // side, -1)).transpose(1, 2).flatten(1, 2))
                    + positions
                ),
                "nothing is normalised": plain + positions,
                "the positions are not added": norm(plain),
                "the norm comes after the positions": norm(plain + positions),
                "the patch is normalised before the projection": (
                    project(norm(squares)) + positions
                ),
                "the patch is normalised before and the token after the projection": (
                    norm(project(norm(squares))) + positions
                ),
                "the norm is taken over the tokens of an image": norm(plain, 1) + positions,
                "the norm is taken over all tokens and columns of an image": (
                    norm(plain, 1, 2) + positions
                ),
                "the image is normalised as a whole before the projection": (
                    tokens(norm(images, 1, 2, 3)) + positions
                ),
                "the numbers of a patch are in the order row, column, channel": (
                    norm(project(channels_last)) + positions
                ),
                "rows and columns within a patch have changed places": (
                    norm(
                        project(squares.unflatten(-1, (c, side, side)).transpose(-1, -2).flatten(2))
                    )
                    + positions
                ),
            }
            check_close(claim, got, norm(plain) + positions, wrong, tolerance=1e-3)
    leaf = _randn(8, 1, 3, 6, 3).requires_grad_()
    out = (embed(leaf, 3, project, positions) ** 3).sum()
    reached = out.requires_grad
    if reached:
        (grad,) = torch.autograd.grad(out, leaf, allow_unused=True)
        reached = grad is not None and bool((grad != 0).any())
    _require(reached, "embed: no pixel moves a token: no gradient reaches the image.")
    _done("embed")


# ---------------------------------------------------------------- 5. another grid


def _weights(old: int, new: int, corners: bool = False, nearest: bool = False) -> Tensor:
    """How much of each old place is in each new one, along one axis."""
    weights = torch.zeros(new, old)
    for i in range(new):
        place = i * (old - 1) / max(new - 1, 1) if corners else (i + 0.5) * old / new - 0.5
        place = min(max(place, 0.0), old - 1.0)
        if nearest:
            weights[i, min(int(i * old / new), old - 1)] = 1.0
            continue
        low = int(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, old - 1)] += place - low
    return weights


def check_resize_positions(resize_positions: Callable) -> None:
    """Larger, smaller, the same, not square; named mistakes; refusals."""
    for old, new, d in (
        ((2, 3), (4, 5), 7),
        ((3, 4), (2, 2), 5),
        ((2, 3), (3, 2), 4),
        ((3, 2),) * 2 + (3,),
    ):
        n = old[0] * old[1]
        table = _randn(9, 1 + n, d)
        kept = table.clone()
        got = call_answer("resize_positions", resize_positions, table, old, new)
        claim = f"resize_positions from {old} to {new}"
        rows = new[0] * new[1]
        if isinstance(got, Tensor) and got.shape == (rows, d):
            raise AssertionError(f"{claim}: {rows} rows: the class token's row is lost.")
        check_shape(claim, got, {"1 + N": 1 + rows, "D": d})

        def resample(grid: Tensor, new: tuple[int, int] = new, **kind: bool) -> Tensor:
            left = _weights(grid.size(0), new[0], **kind)
            right = _weights(grid.size(1), new[1], **kind)
            return torch.einsum("ir,jq,rqd->ijd", left, right, grid).flatten(0, 1)

        def line(x: Tensor, size: int) -> Tensor:
            return F.interpolate(x.mT[None], size=size, mode="linear")[0].mT

        grid = table[1:].view(*old, d)
        right = torch.cat([table[:1], resample(grid)])
        turned = table[1:].view(old[1], old[0], d).transpose(0, 1)
        columns = resample(grid).view(*new, d).transpose(0, 1).flatten(0, 1)
        cubic = F.interpolate(grid.permute(2, 0, 1)[None], size=new, mode="bicubic")
        area = F.interpolate(grid.permute(2, 0, 1)[None], size=new, mode="area")
        smooth = F.interpolate(
            grid.permute(2, 0, 1)[None], size=new, mode="bilinear", antialias=True
        )
        last = table[:-1].view(*old, d)
        wrong = {
            "the corners are aligned: align_corners=False": torch.cat(
                [table[:1], resample(grid, corners=True)]
            ),
            "the nearest old place is taken: bilinear": torch.cat(
                [table[:1], resample(grid, nearest=True)]
            ),
            "the resampling is bicubic, not bilinear": torch.cat(
                [table[:1], cubic[0].flatten(1).mT]
            ),
            "the mean of the cells is taken, not the bilinear value": torch.cat(
                [table[:1], area[0].flatten(1).mT]
            ),
            "the picture is smoothed before it is made smaller: no antialias": torch.cat(
                [table[:1], smooth[0].flatten(1).mT]
            ),
            "rows and columns of the old grid have changed places": torch.cat(
                [table[:1], resample(turned)]
            ),
            "the new places stand column by column": torch.cat([table[:1], columns]),
            "the table is reshaped to (D, rows, columns) without turning it": torch.cat(
                [table[:1], resample(table[1:].reshape(d, *old).permute(1, 2, 0))]
            ),
            "the table is reshaped to (D, rows, columns) and back, without turning it": torch.cat(
                [
                    table[:1],
                    resample(table[1:].reshape(d, *old).permute(1, 2, 0)).mT.reshape(rows, d),
                ]
            ),
            "the picture is not turned back at the end: its axes are reshaped": torch.cat(
                [table[:1], resample(grid).mT.reshape(rows, d)]
            ),
            "rows and columns of the new grid have changed places": torch.cat(
                [table[:1], resample(grid, (new[1], new[0]))]
            ),
            "the class token has come last": torch.cat([resample(grid), table[:1]]),
            "the last row is taken for the class token's": torch.cat([resample(last), table[-1:]]),
            "the class token is set to zero": torch.cat([0 * table[:1], resample(grid)]),
            "the class token is replaced by the mean of the table": torch.cat(
                [table.mean(0, keepdim=True), resample(grid)]
            ),
            "the class token is resampled with the patches, on a line": line(table, 1 + rows),
            "the patches are resampled on a line, not on a grid": torch.cat(
                [table[:1], line(table[1:], rows)]
            ),
            "the table is cut or repeated, not resampled": torch.cat(
                [table[:1], table[1:].repeat(1 + rows // n, 1)[:rows]]
            ),
        }
        check_close(claim, got, right, wrong)
        _require(torch.equal(table, kept), f"resize_positions changes its input. {KEPT}")
        double = resize_positions(table.double(), old, new)
        check_dtype(claim, double, torch.float64, "The dtype stays.")
        leaf = table.clone().requires_grad_()
        out = resize_positions(leaf, old, new)
        _require(out.requires_grad, f"{claim} loses the gradient: is there a detach?")
    for rows in (6, 12):
        _must_refuse(
            f"a table of {rows} rows for a grid of 2 x 3",
            "six patches and a class token make seven.",
            resize_positions,
            *(torch.zeros(rows, 4), (2, 3), (4, 4)),
        )
    _done("resize_positions")


# ---------------------------------------------------------------- 6. boxes


def _overlap(a: list[float], b: list[float], kind: str = "") -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    one = 1.0 if kind == "pixels" else 0.0
    if kind != "negative":
        width, height = max(width + one, 0.0), max(height + one, 0.0)
    both = width * height
    areas = [(x[2] - x[0] + one) * (x[3] - x[1] + one) for x in (a, b)]
    below = {
        "smaller": min(areas),
        "sum": sum(areas),
        "mine": areas[0],
        "true": areas[1],
        "larger": max(areas),
    }.get(kind, sum(areas) - both)
    return both / below if below else 0.0


def _hits(boxes: Tensor, scores: Tensor, truth: Tensor, threshold: float, slip: str = "") -> Tensor:
    """Box by box; ``slip`` makes the known mistakes."""
    boxes, truth = boxes.tolist(), truth.tolist()
    order = list(range(len(boxes)))
    if slip != "given order":
        order.sort(key=lambda m: float(scores[m]), reverse=slip != "lowest first")
    taken: set[int] = set()
    hits = [False] * len(boxes)
    for m in order:
        shares = {
            k: _overlap(boxes[m], t, slip)
            for k, t in enumerate(truth)
            if k not in taken or slip in ("again", "voc")
        }
        if not shares:
            continue
        best = max(shares, key=lambda k: shares[k])
        if slip == "first":
            best = next((k for k, share in shares.items() if share >= threshold), best)
        enough = shares[best] > threshold if slip == "more" else shares[best] >= threshold
        if enough and not (slip == "voc" and best in taken):
            hits[m] = True
            taken.add(best)
        elif slip == "takes anyway":
            taken.add(best)
    if slip == "sorted":
        hits = [hits[m] for m in order]
    return torch.tensor(hits, dtype=torch.bool)


BOX_SLIPS = {
    "the same true box is chosen again: it counts once": "again",
    "a box whose best true box is taken gives up: it chooses among those that are left": "voc",
    "the boxes choose in the order in which they are given: the highest score first": "given order",
    "the lowest score chooses first": "lowest first",
    "the result is in the order of the scores, not of the boxes": "sorted",
    "the first true box that is good enough is taken, not the best": "first",
    "a box that is no hit takes a true box all the same": "takes anyway",
    "the intersection of boxes that do not touch counts: two negative numbers make a positive": (
        "negative"
    ),
    "the intersection is divided by the smaller area, not by the union": "smaller",
    "the intersection is divided by the larger area, not by the union": "larger",
    "the intersection is counted twice in the union": "sum",
    "the intersection is divided by the area of the box": "mine",
    "the intersection is divided by the area of the true box": "true",
    "one pixel is added to each width: these boxes have none to add": "pixels",
    "an IoU of exactly the threshold does not count: at least is enough": "more",
}


def check_true_positives(true_positives: Callable) -> None:
    """Crowded boxes, apart, scaled, none at all."""

    def box(*numbers: float) -> Tensor:
        return torch.tensor(numbers).view(-1, 4)

    crowd = box(*(0, 0, 4, 4), *(1, 0, 5, 4), *(3, 0, 7, 4), *(2, 2, 2, 3))
    pair = box(*(0, 0, 4, 4), *(3, 0, 7, 4))
    far = box(*(5, 5, 6, 6), *(-6, -6, -5, -5), *(0, 0, 1, 1))
    nested = box(*(0, 0, 2, 2), *(0, 0, 6, 6), *(1, 1, 7, 7))
    shifted = box(*(0, 0, 4, 4), *(0, 2, 4, 6))
    wide = box(*(0, 0, 4, 4), *(0, 0, 4, 4))
    rival = box(*(0, 0, 4, 4), *(0.8, 0, 4.8, 4))
    close = box(*(0, 0, 4, 4), *(1, 0, 5, 4))
    greedy = box(*(1, 0, 5, 4), *(-1, 0, 3, 4))
    cases = [
        ("two true boxes and four that overlap", crowd, [0.1, 0.9, 0.2, 0.95], pair, 0.4),
        ("two boxes on one object", crowd[:2], [0.9, 0.8], pair[:1], 0.5),
        ("two boxes on one object, the worse first", crowd[:2], [0.8, 0.9], pair[:1], 0.5),
        ("boxes in the order of their scores", crowd[:3], [0.9, 0.8, 0.7], pair, 0.1),
        ("boxes in the opposite order", crowd[:3], [0.1, 0.5, 0.7], pair, 0.3),
        ("boxes far apart", far, [3.0, 2.0, 1.0], far[2:], 0.01),
        ("one inside the other", nested, [0.5, 0.9, 0.3], nested[1:2], 0.2),
        ("a small box in a large one", nested[:1], [0.5], nested[1:2], 0.3),
        ("a large box around a small one", nested[1:2], [0.5], nested[:1], 0.3),
        ("half a box apart", shifted[1:], [0.5], shifted[:1], 0.3),
        ("half a box apart, more is asked", shifted[1:], [0.5], shifted[:1], 0.45),
        ("the same box twice, two objects", wide, [0.4, 0.6], rival, 0.5),
        ("a miss before a hit", box(*(3, 0, 7, 4), *(0, 0, 4, 4)), [0.9, 0.2], pair[:1], 0.5),
        ("small boxes", 0.001 * crowd, [0.1, 0.9, 0.2, 0.95], 0.001 * pair, 0.4),
        ("equal to the threshold", box(0, 0, 2, 2), [0.5], box(0, 0, 4, 2), 0.5),
        ("the best of two true ones", greedy, [0.9, 0.5], close, 0.4),
        ("boxes that do not touch", box(14, 14, 24, 24), [0.5], box(0, 0, 10, 10), 0.05),
    ]
    answers = []
    for claim, boxes, scores, truth, limit in cases:
        scores = torch.tensor(scores)
        given = (boxes.clone(), scores.clone(), truth.clone(), limit)
        got = call_answer("true_positives", true_positives, *given)
        check_shape(f"true_positives, {claim}", got, {"M": len(boxes)})
        check_dtype(f"true_positives, {claim}", got, torch.bool)
        same = (torch.equal(a, b) for a, b in zip(given, (boxes, scores, truth), strict=False))
        _require(all(same), f"true_positives changes its input. {KEPT}")
        answers.append((claim, (boxes, scores, truth, limit), got.tolist()))

    def every(slip: str = "") -> list:
        return [_hits(*case, slip).tolist() for _, case, _ in answers]

    given = [got for _, _, got in answers]
    for (claim, _, got), right in zip(answers, every(), strict=True):
        if got != right:
            fits = [why for why, slip in BOX_SLIPS.items() if every(slip) == given]
            hint = f" This is what you get when {fits[0]}." if fits else ""
            raise AssertionError(f"true_positives, {claim}: expected {right}, got {got}.{hint}")
    for m, k in ((0, 2), (2, 0), (0, 0)):
        got = call_answer(
            "true_positives", true_positives, crowd[:m], torch.arange(float(m)), pair[:k], 0.5
        )
        check_shape(f"true_positives with {m} boxes and {k} true ones", got, {"M": m})
        check_dtype(f"true_positives with {m} boxes and {k} true ones", got, torch.bool)
        _require(not bool(got.any()), "true_positives: without true boxes there is no hit.")
    point = box(1, 1, 1, 1)
    got = call_answer("true_positives", true_positives, point, torch.ones(1), point, 0.5)
    _require(
        got.tolist() == [False], "true_positives: two boxes without area share nothing: IoU is 0."
    )
    _done("true_positives")


# ---------------------------------------------------------------- 7. threshold


def _accept(scores: Tensor, same: Tensor, most: float, slip: str = "") -> tuple[float, float]:
    """Score by score; ``slip`` makes the known mistakes."""
    if slip == "turned":
        same = ~same
    friends, strangers = scores[same].tolist(), scores[~same].tolist()
    every = sorted(set(scores.tolist()))
    tried = {"friends": sorted(set(friends)), "strangers": sorted(set(strangers))}.get(slip, every)
    if slip == "largest":
        tried = tried[::-1]

    def share(values: list[float], t: float, of: int, more: bool = slip == "more") -> float:
        return sum(s > t if more else s >= t for s in values) / of

    if slip == "positive":
        tried = [t for t in tried if t > 0]
    for t in tried:
        more = slip in ("more", "more strangers")
        wrong = share(strangers, t, len(scores) if slip == "of all" else len(strangers), more)
        if slip == "rejects":
            wrong = 1 - share(friends, t, len(friends))
        if slip == "precision":
            taken = [s for s in scores.tolist() if s >= t]
            wrong = share(strangers, t, max(len(taken), 1))
        if (wrong < most) if slip == "less" else (wrong <= most + 1e-9):
            more = slip in ("more", "more friends")
            right = share(friends, t, len(scores) if slip == "true of all" else len(friends), more)
            if slip == "accepted":
                right = share(scores.tolist(), t, len(scores))
            if slip == "missed":
                right = 1 - right
            if slip == "false":
                right = wrong
            return t, right
    return (math.inf, 0.0)


ACCEPT_SLIPS = {
    "`same` is the wrong way round: True is one person": "turned",
    "the largest score that will do is returned: the smallest": "largest",
    "only the scores of pairs of one person are tried: all scores are": "friends",
    "only the scores of pairs of different people are tried: all scores are": "strangers",
    "a pair whose score is exactly t is rejected: at least t is accepted": "more",
    "a stranger whose score is exactly t is not counted: at least t is accepted": "more strangers",
    "a friend whose score is exactly t is not counted: at least t is accepted": "more friends",
    "negative scores are left out: they are scores, too": "positive",
    "fewer than `most` are asked for: at most": "less",
    "the false accepts are a share of all pairs, not of the pairs of different people": "of all",
    "the true accepts are a share of all pairs, not of the pairs of one person": "true of all",
    "the second number is the share of all pairs that are accepted": "accepted",
    "the second number is the share that is rejected": "missed",
    "the second number is the false accepts": "false",
    "the rejected pairs of one person are kept below `most`: the false accepts": "rejects",
    "the false accepts are a share of the accepted pairs": "precision",
}


def check_threshold(threshold: Callable) -> None:
    """Distinct scores, ties, none that will do."""
    cases = [
        (
            "eleven pairs",
            [0.9, 0.8, 0.75, 0.6, 0.5, 0.45, 0.4, 0.3, 0.2, 0.1, -0.3],
            [1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0],
            (0.0, 0.2, 0.34, 0.7, 1.0),
        ),
        (
            "pairs with equal scores",
            [0.5, 0.5, 0.7, 0.7, 0.2, 0.9, 0.7],
            [1, 0, 0, 1, 0, 1, 1],
            (0.0, 0.34, 0.5, 0.7),
        ),
        ("negative scores", [-3.0, -1.0, -2.0, -4.0], [0, 1, 1, 0], (0.0, 0.5)),
    ]
    answers = []
    for claim, scores, same, limits in cases:
        scores, same = torch.tensor(scores), torch.tensor(same, dtype=torch.bool)
        for most in limits:
            given = scores.clone(), same.clone()
            got = _pair("threshold", call_answer("threshold", threshold, *given, most))
            try:
                got = tuple(float(x) for x in got)
            except (TypeError, ValueError) as error:
                raise AssertionError("threshold must return two numbers.") from error
            kept = torch.equal(given[0], scores) and torch.equal(given[1], same)
            _require(kept, f"threshold changes its input. {KEPT}")
            answers.append((f"{claim}, at most {most}", (scores, same, most), got))

    def agree(a: tuple, b: tuple) -> bool:
        return all(x == y or abs(x - y) < 1e-6 for x, y in zip(a, b, strict=True))

    for claim, case, got in answers:
        right = _accept(*case)
        if not agree(got, right):
            fits = [
                why
                for why, slip in ACCEPT_SLIPS.items()
                if all(agree(given, _accept(*one, slip)) for _, one, given in answers)
            ]
            hint = f" This is what you get when {fits[0]}." if fits else ""
            raise AssertionError(
                f"threshold of {claim}: expected t = {right[0]:.4g} and {right[1]:.4g}, "
                f"got {got[0]:.4g} and {got[1]:.4g}.{hint}"
            )
    top = torch.tensor([0.2, 0.9, 0.9, 0.1])
    kind = torch.tensor([True, False, True, False])
    got = _pair("threshold", call_answer("threshold", threshold, top, kind, 0.0))
    _require(
        float(got[0]) == math.inf and float(got[1]) == 0.0,
        "threshold: a stranger has the highest score, so no score will do: t is infinity, and "
        f"nobody is accepted. Got {got[0]} and {got[1]}.",
    )
    _done("threshold")
