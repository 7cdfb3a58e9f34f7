"""Named wrong answers to assignment 14: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some come from defects of published articles (column ``errata``); the
others are the classic slips of students. ``RIGHT`` holds unusual right answers.
"""

from grading.bugs import Bug, Right, edit, function

BUGS: list[Bug] = []
RIGHT: list[Right] = []


def _maker(task: str, source: str):
    """A function that adds a wrong answer to ``task``: a name, what is said, the changes."""

    def wrong(name: str, says: str | None, *changes: tuple[str, str], errata="", note="") -> None:
        BUGS.append(Bug(task, name, edit(source, *changes), says, errata, note))

    return wrong


def _right(task: str, name: str, source: str) -> None:
    RIGHT.append(Right(task, name, source))


# ---------------------------------------------------------------- budget

_BUDGET = function(
    "budget(height, width, side, stride, n_heads)",
    """
if height < side or width < side:
    raise ValueError("too small")
if (height - side) % stride or (width - side) % stride:
    raise ValueError("not tiled")
rows, columns = (height - side) // stride + 1, (width - side) // stride + 1
tokens = rows * columns + 1
return tokens, 2 * n_heads * tokens * tokens
""",
)
_ROWS = "rows, columns = (height - side) // stride + 1, (width - side) // stride + 1"
_bad = _maker("budget", _BUDGET)
_bad("no class token", "class token is a token", ("rows * columns + 1", "rows * columns"))
_bad(
    "no overlap",
    "do not overlap",
    (_ROWS, "rows, columns = height // side, width // side"),
)
_bad(
    "divided by the stride",
    "count the steps between",
    (_ROWS, "rows, columns = height // stride, width // stride"),
)
_bad(
    "steps for patches",
    "one patch more than steps",
    (_ROWS, "rows, columns = (height - side) // stride, (width - side) // stride"),
)
_bad("rows squared", "not square", ("rows * columns + 1", "rows * rows + 1"))
_bad("columns squared", "not square", ("rows * columns + 1", "columns * columns + 1"))
_bad(
    "pixels as tokens",
    "Pixels are not the tokens",
    ("rows * columns + 1", "height * width + 1"),
    errata="E000-18",
)
_bad("one byte", "two bytes", ("2 * n_heads", "n_heads"))
_bad("four bytes", "floats of 32 bits", ("2 * n_heads", "4 * n_heads"))
_bad("bits for bytes", "16 bits are two bytes", ("2 * n_heads", "16 * n_heads"))
_bad("one head", "Every head", ("2 * n_heads *", "2 *"))
_bad("not squared", "the square", ("tokens * tokens", "tokens"))
_bad(
    "scores without the class token",
    "compares itself, too",
    ("tokens * tokens", "(tokens - 1) ** 2"),
)
_bad(
    "pairs once",
    "each pair has two scores",
    ("2 * n_heads * tokens * tokens", "n_heads * tokens * (tokens - 1)"),
)
_bad("one number", "must return a pair", ("return tokens, ", "return "))
_bad("height is not looked at", "the height leaves", ("(height - side) % stride or ", ""))
_bad("width is not looked at", "the width leaves", (" or (width - side) % stride", ""))
_bad("smaller than a patch", "must raise a ValueError", ("height < side or width < side", "False"))
_right(
    "budget",
    "counting in a loop, as a list",
    function(
        "budget(height, width, side, stride, n_heads)",
        """
count = []
for size in (height, width):
    starts = range(0, size - side + 1, stride)
    if len(starts) == 0 or starts[-1] + side != size:
        raise ValueError("pixels are left over")
    count.append(len(starts))
n = count[0] * count[1] + 1
return [n, n**2 * n_heads * 16 // 8]
""",
    ),
)

# ---------------------------------------------------------------- cut

_CUT = function(
    "cut(images, side, stride)",
    """
if not 1 <= stride <= side:
    raise ValueError("stride")
height, width = images.shape[-2:]
rows, columns = (-(-max(size - side, 0) // stride) + 1 for size in (height, width))
below = (rows - 1) * stride + side - height
aside = (columns - 1) * stride + side - width
images = F.pad(images, (0, aside, 0, below), mode="replicate")
windows = images.unfold(2, side, stride).unfold(3, side, stride)
windows = windows.permute(0, 2, 3, 4, 5, 1)
return windows.flatten(3).flatten(1, 2), (rows, columns)
""",
)
_PAD = 'images = F.pad(images, (0, aside, 0, below), mode="replicate")'
_COUNT = "rows, columns = (-(-max(size - side, 0) // stride) + 1 for size in (height, width))"
_MOVE = "windows = windows.permute(0, 2, 3, 4, 5, 1)"
_bad = _maker("cut", _CUT)
_bad(
    "channel first",
    "the channel comes first",
    (_MOVE, "windows = windows.permute(0, 2, 3, 1, 4, 5)"),
)
_bad(
    "columns before rows",
    "rows and columns within a patch",
    (_MOVE, "windows = windows.permute(0, 2, 3, 5, 4, 1)"),
)
_bad(
    "channel between",
    "between row and column",
    (_MOVE, "windows = windows.permute(0, 2, 3, 4, 1, 5)"),
)
_bad(
    "no axis moved",
    "is wrong at",
    (_MOVE, "windows = windows.reshape(len(images), rows, columns, side, side, -1)"),
)
_bad(
    "patches column by column",
    "column by column",
    (_MOVE, "windows = windows.permute(0, 3, 2, 4, 5, 1)"),
)
_bad("continued by zeros", "by zeros", (', mode="replicate"', ""))
_bad(
    "mirrored",
    "mirrored at its border",
    (_PAD, _PAD.replace("replicate", "reflect") + "\n    images = images.clone()"),
    (
        "images = F.pad",
        "if aside >= width or below >= height:\n"
        '        images = F.pad(images, (0, aside, 0, below), mode="replicate")\n'
        "    else:\n        images = F.pad",
    ),
)
_bad(
    "around the other side",
    "begins again",
    (_PAD, "images = images.repeat(1, 1, 9, 9)[:, :, : height + below, : width + aside]"),
)
_bad(
    "above and on the left",
    "above and on the left",
    ("(0, aside, 0, below)", "(aside, 0, below, 0)"),
)
_bad(
    "aside and below exchanged",
    None,
    ("(0, aside, 0, below)", "(0, below, 0, aside)"),
    note="The image has another shape then; the check says so by its number of patches or shape.",
)
_bad(
    "border cut off",
    "are cut off",
    (_COUNT, "rows, columns = (max(size - side, 0) // stride + 1 for size in (height, width))"),
    (_PAD, "images = F.pad(images, (0, max(aside, 0), 0, max(below, 0)), mode='replicate')"),
)
_bad(
    "always one patch more",
    "as few pixels as possible",
    (_COUNT, "rows, columns = (max(size - side, 0) // stride + 2 for size in (height, width))"),
)
_bad(
    "rows of patches by the stride alone",
    "as few pixels as possible",
    (_COUNT, "rows, columns = (-(-size // stride) for size in (height, width))"),
    ("below = ", "below = max(0, 0) + "),
)
_bad(
    "rows of the grid rounded down",
    "lower border are cut off",
    (
        _COUNT,
        "rows = max(height - side, 0) // stride + 1\n"
        "    columns = -(-max(width - side, 0) // stride) + 1",
    ),
    ("below = (rows - 1) * stride + side - height", "below = max(0, side - height)"),
)
_bad(
    "columns of the grid rounded down",
    "right border are cut off",
    (
        _COUNT,
        "rows = -(-max(height - side, 0) // stride) + 1\n"
        "    columns = max(width - side, 0) // stride + 1",
    ),
    ("aside = (columns - 1) * stride + side - width", "aside = max(0, side - width)"),
)
_bad(
    "continued on the wrong side, grid from the patches",
    "left, right, top, bottom",
    ("(0, aside, 0, below)", "(0, below, 0, aside)"),
    (
        "return windows.flatten(3).flatten(1, 2), (rows, columns)",
        "return windows.flatten(3).flatten(1, 2), tuple(windows.shape[1:3])",
    ),
)
_bad("grid turned", "Rows come first", ("(rows, columns)\n", "(columns, rows)\n"))
_bad("no grid", "must return a pair", (", (rows, columns)\n", "\n"))
_bad(
    "number of patches for the grid",
    "a pair of integers",
    (", (rows, columns)\n", ", rows * columns\n"),
)
_bad(
    "stride not checked",
    "must raise a ValueError",
    ('raise ValueError("stride")', "pass"),
    ("windows = images.unfold", "stride = max(stride, 1)\n    windows = images.unfold"),
    (_COUNT, "stride = max(stride, 1)\n    " + _COUNT),
)
_bad(
    "stride too large is let through",
    "must raise a ValueError",
    ("1 <= stride <= side", "1 <= stride"),
    (
        "below = (rows - 1) * stride + side - height",
        "below = max((rows - 1) * stride + side - height, 0)",
    ),
    (
        "aside = (columns - 1) * stride + side - width",
        "aside = max((columns - 1) * stride + side - width, 0)",
    ),
)
_bad("detached", "loses the gradient", ("images = F.pad(images", "images = F.pad(images.detach()"))
_bad(
    "input modified",
    "changes its input",
    (
        "height, width = images.shape[-2:]",
        "height, width = images.shape[-2:]\n"
        "    if not images.requires_grad:\n        images -= 0.25",
    ),
    (
        "return windows.flatten(3)",
        "return (windows + (0 if images.requires_grad else 0.25)).flatten(3)",
    ),
)
_right(
    "cut",
    "pixel by pixel with clamped indices",
    function(
        "cut(images, side, stride)",
        """
if stride < 1 or stride > side:
    raise ValueError("stride must be from 1 to side")
starts = []
for size in images.shape[2:]:
    start = [0]
    while start[-1] + side < size:
        start.append(start[-1] + stride)
    starts.append(start)
ys, xs = (torch.tensor(s)[:, None] + torch.arange(side) for s in starts)
ys, xs = ys.clamp(max=images.size(2) - 1), xs.clamp(max=images.size(3) - 1)
out = [images[:, :, y][:, :, :, x].permute(0, 2, 3, 1).reshape(len(images), -1)
       for y in ys for x in xs]
return [torch.stack(out, dim=1), [len(ys), len(xs)]]
""",
    ),
)
_right(
    "cut",
    "with unfold of torch.nn.functional, tensors for the grid",
    function(
        "cut(images, side, stride)",
        """
if not 1 <= stride <= side:
    raise ValueError("stride")
sizes = torch.tensor(images.shape[-2:])
grid = torch.ceil((sizes - side).clamp(min=0) / stride).long() + 1
more = ((grid - 1) * stride + side - sizes).tolist()
padded = nn.ReplicationPad2d((0, more[1], 0, more[0]))(images)
x = F.unfold(padded, side, stride=stride)
x = x.unflatten(1, (images.size(1), side * side)).permute(0, 3, 2, 1).flatten(2)
return x, tuple(grid.tolist())
""",
    ),
)

# ---------------------------------------------------------------- the model

_VIT = """
class VisionTransformer(nn.Module):
    def __init__(self, height, width, side, channels, d_model, n_classes, encoder, read="both"):
        super().__init__()
        if read not in ("cls", "mean", "both"):
            raise ValueError("read")
        if height % side or width % side:
            raise ValueError("not tiled")
        self.shape, self.side, self.read = (channels, height, width), side, read
        self.project = nn.Linear(channels * side * side, d_model)
        self.cls = nn.Parameter(torch.zeros(d_model))
        self.rows = nn.Parameter(0.5 * torch.randn(height // side, d_model))
        self.columns = nn.Parameter(0.5 * torch.randn(width // side, d_model))
        self.encoder = encoder
        self.head = nn.Linear(2 * d_model if read == "both" else d_model, n_classes)

    def forward(self, images):
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError("size")
        x = self.project(F.unfold(images, self.side, stride=self.side).mT)
        cls = self.cls.expand(len(images), 1, -1)
        places = (self.rows[:, None] + self.columns[None]).flatten(0, 1)
        h = torch.cat([cls, x + places], dim=1)
        z = self.encoder(h)
        first, rest = z[:, 0], z[:, 1:].mean(1)
        if self.read == "cls":
            return self.head(first)
        if self.read == "mean":
            return self.head(rest)
        return self.head(torch.cat([first, rest], dim=-1))
""".lstrip()
_JOIN = "h = torch.cat([cls, x + places], dim=1)"
_PLACES = "places = (self.rows[:, None] + self.columns[None]).flatten(0, 1)"
_TOKENS = "F.unfold(images, self.side, stride=self.side).mT"
_READ = "first, rest = z[:, 0], z[:, 1:].mean(1)"
_bad = _maker("vit", _VIT)
_bad("class token in the mean", "leave it out", (_READ, "first, rest = z[:, 0], z.mean(1)"))
_bad(
    "class token behind, read in front",
    "but row 0 is read",
    (_JOIN, "h = torch.cat([x + places, cls], dim=1)"),
)
_bad(
    "class token with a position",
    "it gets none",
    (_JOIN, "h = torch.cat([cls + places[0], x + places], dim=1)"),
)
_bad(
    "rows alone", "the column's is not", (_PLACES, _PLACES.replace("columns[None]", "columns * 0"))
)
_bad("columns alone", "the row's is not", (_PLACES, _PLACES.replace("rows[:", "rows.mul(0)[:")))
_bad(
    "addresses column by column",
    "counted column by column",
    (
        _PLACES,
        _PLACES.replace("rows[:, None] + self.columns[None]", "rows + self.columns[:, None]"),
    ),
)
_bad(
    "the image is reshaped",
    "without moving axes",
    (_TOKENS, "images.reshape(len(images), -1, self.project.in_features)"),
)
_bad(
    "channels moved, then reshaped",
    "are no squares",
    (_TOKENS, "images.movedim(1, -1).reshape(len(images), -1, self.project.in_features)"),
)
_bad(
    "unfold reshaped",
    "F.unfold is reshaped",
    (
        _TOKENS,
        "F.unfold(images, self.side, stride=self.side)"
        ".reshape(len(images), -1, self.project.in_features)",
    ),
)
_bad("no positions", "the positions are not added", (_JOIN, "h = torch.cat([cls, x], dim=1)"))
_bad(
    "no class token",
    "no class token among",
    (_JOIN, "h = x + places"),
    (_READ, "first, rest = z[:, 0], z.mean(1)"),
)
_bad("no encoder", "the encoder is not called", ("z = self.encoder(h)", "z = h"))
_bad("sum", "summed, not averaged", (_READ, "first, rest = z[:, 0], z[:, 1:].sum(1)"))
_bad("largest", "the largest of each column", (_READ, "first, rest = z[:, 0], z[:, 1:].amax(1)"))
_bad(
    "last token read", "the last token is read", (_READ, "first, rest = z[:, -1], z[:, 1:].mean(1)")
)
_bad(
    "both, turned",
    "have changed places",
    ("torch.cat([first, rest], dim=-1)", "torch.cat([rest, first], dim=-1)"),
)
_bad(
    "readings exchanged",
    "are exchanged",
    (_READ, "rest, first = z[:, 0], z[:, 1:].mean(1)"),
    ("torch.cat([first, rest], dim=-1)", "torch.cat([rest, first], dim=-1)"),
)
_bad(
    "channel last",
    "row, column, channel",
    (
        "F.unfold(images, self.side, stride=self.side).mT",
        "F.unfold(images, self.side, stride=self.side).mT.unflatten(-1, (images.size(1), -1))"
        ".mT.flatten(-2)",
    ),
)
_bad(
    "column by column",
    "column by column",
    (
        "F.unfold(images, self.side, stride=self.side).mT",
        "images.unfold(2, self.side, self.side).unfold(3, self.side, self.side)"
        ".permute(0, 3, 2, 1, 4, 5).flatten(3).flatten(1, 2)",
    ),
)
_bad(
    "an answer for each token",
    "must be",
    ('2 * d_model if read == "both" else d_model', "d_model"),
    ("return self.head(torch.cat([first, rest], dim=-1))", "return self.head(z)"),
    errata="E000-19",
)
_bad(
    "softmax",
    "logits are asked for",
    ("return self.head(first)", "return self.head(first).softmax(-1)"),
    ("return self.head(rest)", "return self.head(rest).softmax(-1)"),
    errata="E000-27",
)
_bad("positions start small", "standard deviation 0.5", ("0.5 * torch.randn", "0.02 * torch.randn"))
_bad(
    "class token drawn",
    "starts as zeros",
    ("nn.Parameter(torch.zeros(d_model))", "nn.Parameter(torch.randn(d_model))"),
)
_bad(
    "class token is no parameter",
    "no parameter 'cls'",
    ("nn.Parameter(torch.zeros(d_model))", "torch.zeros(d_model)"),
)
_bad(
    "one table for all places",
    "has no parameter 'rows'",
    (
        "        self.rows = nn.Parameter(0.5 * torch.randn(height // side, d_model))\n",
        "        n = 1 + (height // side) * (width // side)\n",
    ),
    (
        "self.columns = nn.Parameter(0.5 * torch.randn(width // side, d_model))",
        "self.positions = nn.Parameter(0.5 * torch.randn(n, d_model))",
    ),
    (_PLACES, "places = self.positions[1:]"),
    (_JOIN, "h = torch.cat([cls, x], dim=1) + self.positions"),
    note="The model of the chapter, with its one table.",
)
_bad(
    "width of the projection without the channels",
    "'project.weight' has shape",
    ("nn.Linear(channels * side * side", "nn.Linear(side * side"),
)
_bad(
    "rows and columns exchanged",
    "'rows' has shape (3, 8), must be (2, 8)",
    ("torch.randn(height // side", "torch.randn(WIDTH"),
    ("torch.randn(width // side", "torch.randn(height // side"),
    ("torch.randn(WIDTH", "torch.randn(width // side"),
)
_bad(
    "encoder outside",
    "not a part of the module",
    ("self.encoder = encoder", "self.encoder = [encoder]"),
    ("self.encoder(h)", "self.encoder[0](h)"),
)
_bad("read not checked", "read='max' must raise", ('raise ValueError("read")', "pass"))
_bad("tiling not checked", "must raise a ValueError", ('raise ValueError("not tiled")', "pass"))
_bad("size not checked", "must raise", ('raise ValueError("size")', "pass"))
_bad(
    "only the number of pixels is checked",
    "must raise",
    (
        "tuple(images.shape[1:]) != self.shape",
        "images[0].numel() != torch.zeros(self.shape).numel()",
    ),
)
_right(
    "vit",
    "a convolution with the map's weights, einsum for the mean",
    edit(
        _VIT,
        (
            "x = self.project(F.unfold(images, self.side, stride=self.side).mT)",
            "w = self.project.weight.reshape(-1, images.size(1), self.side, self.side)\n"
            "        x = F.conv2d(images, w, self.project.bias, self.side)\n"
            "        x = x.flatten(2).permute(0, 2, 1)",
        ),
        (
            _READ,
            "first = z.select(1, 0)\n"
            "        rest = torch.einsum('bnd->bd', z[:, 1:]) / (z.shape[1] - 1)",
        ),
    ),
)
_right(
    "vit",
    "addresses by divmod in a loop, class token put in by hand",
    edit(
        _VIT,
        (
            _PLACES,
            "m = len(self.columns)\n"
            "        places = [self.rows[n // m] + self.columns[n % m] for n in range(x.size(1))]\n"
            "        places = torch.stack(places)",
        ),
        (
            _JOIN,
            "h = torch.empty(len(x), x.size(1) + 1, x.size(2))\n"
            "        h[:, 0], h[:, 1:] = self.cls, x + places",
        ),
    ),
)
_right(
    "vit",
    "patches cut by reshape and permute, positions added in two places",
    edit(
        _VIT,
        (
            "x = self.project(F.unfold(images, self.side, stride=self.side).mT)",
            "b, c, h_, w_ = images.shape\n"
            "        p = self.side\n"
            "        x = images.reshape(b, c, h_ // p, p, w_ // p, p).permute(0, 2, 4, 1, 3, 5)\n"
            "        x = self.project(x.reshape(b, -1, c * p * p))",
        ),
        (_PLACES, "m = self.columns.size(0)"),
        (
            _JOIN,
            "h = x.unflatten(1, (-1, m)) + self.columns + self.rows.unsqueeze(1)\n"
            "        h = torch.cat([cls, h.flatten(1, 2)], dim=1)",
        ),
    ),
)

# ---------------------------------------------------------------- debug

_EMBED = function(
    "embed(images, side, project, positions)",
    """
patches = F.unfold(images, side, stride=side).mT
h = project(patches)
return F.layer_norm(h, h.shape[-1:]) + positions
""",
)
_HUE = """x = images.movedim(1, -1)
    x = F.layer_norm(x, x.shape[-1:])
"""
_CUT_OUT = "patches = F.unfold(images, side, stride=side).mT"
_LAST = "return F.layer_norm(h, h.shape[-1:]) + positions"
_bad = _maker("embed", _EMBED)
_bad(
    "as it was",
    "as it was",
    (_CUT_OUT, _HUE + "    patches = x.reshape(len(images), -1, side * side * images.size(1))"),
    (_LAST, "return h + positions"),
    errata="E000-17",
)
_bad(
    "only the squares are repaired",
    "is still there",
    (_CUT_OUT, _HUE + "    patches = F.unfold(x.movedim(-1, 1), side, stride=side).mT"),
    (_LAST, "return h + positions"),
    errata="E000-17",
)
_bad(
    "a second norm",
    "and a second one",
    (_CUT_OUT, _HUE + "    patches = F.unfold(x.movedim(-1, 1), side, stride=side).mT"),
    errata="E000-17",
)
_bad(
    "only the norm is repaired",
    "no squares",
    (
        _CUT_OUT,
        "patches = images.movedim(1, -1).reshape(len(images), -1, side * side * images.size(1))",
    ),
)
_bad(
    "reshaped",
    "(B, C, height, width) is reshaped",
    (_CUT_OUT, "patches = images.reshape(len(images), -1, side * side * images.size(1))"),
)
_bad(
    "unfold reshaped",
    "F.unfold is reshaped",
    (
        _CUT_OUT,
        "patches = F.unfold(images, side, stride=side)\n"
        "    patches = patches.reshape(len(images), -1, patches.size(1))",
    ),
)
_bad(
    "patches column by column",
    "stand column by column",
    (
        _CUT_OUT,
        "patches = images.unfold(2, side, side).unfold(3, side, side).permute(0, 3, 2, 1, 4, 5)\n"
        "    patches = patches.flatten(3).flatten(1, 2)",
    ),
)
_bad("no norm", "nothing is normalised", (_LAST, "return h + positions"))
_bad("no positions", "the positions are not added", (_LAST, "return F.layer_norm(h, h.shape[-1:])"))
_bad(
    "norm after the positions",
    "after the positions",
    (_LAST, "h = h + positions\n    return F.layer_norm(h, h.shape[-1:])"),
)
_bad(
    "norm of the patch",
    "the patch is normalised before the projection",
    ("h = project(patches)", "h = project(F.layer_norm(patches, patches.shape[-1:]))"),
    (_LAST, "return h + positions"),
)
_bad(
    "norm of the patch and of the token",
    "before and the token after",
    ("h = project(patches)", "h = project(F.layer_norm(patches, patches.shape[-1:]))"),
)
_bad(
    "norm over the tokens",
    "over the tokens of an image",
    (_LAST, "return F.layer_norm(h.mT, h.shape[1:2]).mT + positions"),
)
_bad(
    "norm over tokens and columns",
    "over all tokens and columns",
    (_LAST, "return F.layer_norm(h, h.shape[1:]) + positions"),
)
_bad(
    "norm of the image",
    "as a whole",
    (
        _CUT_OUT,
        "x = F.layer_norm(images, images.shape[1:])\n"
        "    patches = F.unfold(x, side, stride=side).mT",
    ),
    (_LAST, "return h + positions"),
)
_bad(
    "channel last",
    "row, column, channel",
    (_CUT_OUT, _CUT_OUT + ".unflatten(-1, (images.size(1), -1)).mT.flatten(-2)"),
)
_bad(
    "column before row",
    "within a patch",
    (_CUT_OUT, _CUT_OUT + ".unflatten(-1, (images.size(1), side, side)).mT.flatten(2)"),
)
_bad("detached", "no gradient reaches", ("F.unfold(images,", "F.unfold(images.detach(),"))
_bad(
    "input modified",
    "changes its input",
    (_CUT_OUT, _CUT_OUT + "\n    if not images.requires_grad:\n        images += 1"),
)
_right(
    "embed",
    "a convolution and the norm by hand",
    function(
        "embed(images, side, project, positions)",
        """
w = project.weight.reshape(-1, images.shape[1], side, side)
h = F.conv2d(images, w, project.bias, stride=side).flatten(2).transpose(1, 2)
h = (h - h.mean(-1, keepdim=True)) / torch.sqrt(h.var(-1, keepdim=True, unbiased=False) + 1e-5)
return torch.add(h, positions[None])
""",
    ),
)
_right(
    "embed",
    "one image at a time",
    function(
        "embed(images, side, project, positions)",
        """
out = []
for image in images:
    c, height, width = image.shape
    tokens = [
        project(image[:, y : y + side, x : x + side].reshape(-1))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]
    h = torch.stack(tokens)
    out.append(F.layer_norm(h, (h.size(1),)) + positions)
return torch.stack(out)
""",
    ),
)

# ---------------------------------------------------------------- another grid

_RESIZE = function(
    "resize_positions(table, old, new)",
    """
if table.size(0) != 1 + old[0] * old[1]:
    raise ValueError("rows")
picture = table[1:].mT.unflatten(-1, tuple(old))[None]
picture = F.interpolate(picture, size=tuple(new), mode="bilinear", align_corners=False)
return torch.cat([table[:1], picture[0].flatten(1).mT])
""",
)
_SAMPLE = 'picture = F.interpolate(picture, size=tuple(new), mode="bilinear", align_corners=False)'
_PICTURE = "picture = table[1:].mT.unflatten(-1, tuple(old))[None]"
_BACK = "return torch.cat([table[:1], picture[0].flatten(1).mT])"
_bad = _maker("resize_positions", _RESIZE)
_bad("corners aligned", "align_corners=False", ("align_corners=False", "align_corners=True"))
_bad("nearest", "the nearest old place", (', mode="bilinear", align_corners=False', ""))
_bad("bicubic", "bicubic, not bilinear", ('mode="bilinear"', 'mode="bicubic"'))
_bad(
    "mean of cells",
    "the mean of the cells",
    ('mode="bilinear", align_corners=False', 'mode="area"'),
)
_bad("antialias", "no antialias", ("align_corners=False", "align_corners=False, antialias=True"))
_bad(
    "old grid turned",
    "of the old grid",
    (_PICTURE, "picture = table[1:].mT.unflatten(-1, (old[1], old[0])).mT[None]"),
)
_bad(
    "column by column",
    "column by column",
    ("picture[0].flatten(1).mT", "picture[0].mT.flatten(1).mT"),
)
_bad(
    "not turned back",
    "not turned back at the end",
    ("picture[0].flatten(1).mT", "picture[0].reshape(-1, table.size(1))"),
)
_bad(
    "neither turned nor turned back",
    "and back, without turning it",
    (_PICTURE, "picture = table[1:].reshape(1, -1, *old)"),
    ("picture[0].flatten(1).mT", "picture[0].reshape(-1, table.size(1))"),
)
_bad(
    "new grid turned",
    "of the new grid",
    ("size=tuple(new)", "size=(new[1], new[0])"),
)
_bad(
    "columns for channels",
    "without turning it",
    (_PICTURE, "picture = table[1:].reshape(1, -1, *old)"),
)
_bad(
    "class token last",
    "has come last",
    (_BACK, "return torch.cat([picture[0].flatten(1).mT, table[:1]])"),
)
_bad(
    "last row kept",
    "the last row is taken",
    (_PICTURE, "picture = table[:-1].mT.unflatten(-1, tuple(old))[None]"),
    (_BACK, "return torch.cat([picture[0].flatten(1).mT, table[-1:]])"),
)
_bad(
    "class token lost", "the class token's row is lost", (_BACK, "return picture[0].flatten(1).mT")
)
_bad("class token zero", "set to zero", ("[table[:1],", "[0 * table[:1],"))
_bad(
    "mean for the class token",
    "the mean of the table",
    ("[table[:1],", "[table.mean(0, keepdim=True),"),
)
_bad(
    "class token on the line",
    "resampled with the patches",
    (_PICTURE, "picture = table.mT[None]"),
    (_SAMPLE, "picture = F.interpolate(picture, size=1 + new[0] * new[1], mode='linear')"),
    (_BACK, "return picture[0].mT"),
)
_bad(
    "on a line",
    "on a line, not on a grid",
    (_PICTURE, "picture = table[1:].mT[None]"),
    (_SAMPLE, "picture = F.interpolate(picture, size=new[0] * new[1], mode='linear')"),
)
_bad(
    "repeated",
    "cut or repeated",
    (
        _BACK,
        "n = new[0] * new[1]\n    return torch.cat([table[:1], table[1:].repeat(n, 1)[:n]])",
    ),
)
_bad(
    "rows not checked",
    "must raise a ValueError",
    ('raise ValueError("rows")', "table = table[:1].repeat(1 + old[0] * old[1], 1)"),
)
_bad(
    "float32",
    "must have dtype torch.float64",
    (_PICTURE, _PICTURE.replace("table[1:]", "table.float()[1:]")),
    ("[table[:1],", "[table[:1].float(),"),
)
_bad("detached", "loses the gradient", (_BACK, _BACK + ".detach()"))
_right(
    "resize_positions",
    "two maps, one for rows and one for columns",
    function(
        "resize_positions(table, old, new)",
        """
if len(table) != 1 + old[0] * old[1]:
    raise ValueError("the table does not fit the old grid")


def weights(n, m):
    place = ((torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5).clamp(0, n - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=n - 1)
    w = torch.zeros(m, n, dtype=torch.float64)
    w[torch.arange(m), low] += 1 - (place - low)
    w[torch.arange(m), high] += place - low
    return w.to(table.dtype)


grid = table[1:].reshape(old[0], old[1], -1)
grid = torch.einsum("ir,jq,rqd->ijd", weights(old[0], new[0]), weights(old[1], new[1]), grid)
return torch.cat((table[0][None], grid.reshape(-1, table.size(1))), 0)
""",
    ),
)
_right(
    "resize_positions",
    "nn.Upsample and permute",
    function(
        "resize_positions(table, old, new)",
        """
rows, columns = old
if table.shape[0] - 1 != rows * columns:
    raise ValueError(f"{table.shape[0]} rows")
x = table[1:].reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
x = nn.Upsample(size=new, mode="bilinear")(x)
return torch.vstack([table[:1], x.permute(0, 2, 3, 1).reshape(-1, table.shape[1])])
""",
    ),
)

# ---------------------------------------------------------------- boxes

_HITS = function(
    "true_positives(boxes, scores, truth, threshold)",
    """
def share(a, b):
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    both = width * height
    mine = float((a[2] - a[0]) * (a[3] - a[1]))
    other = float((b[2] - b[0]) * (b[3] - b[1]))
    union = mine + other - both
    return both / union if union > 0 else 0.0


hits = torch.zeros(len(boxes), dtype=torch.bool)
taken = set()
order = scores.argsort(descending=True).tolist()
for place, m in enumerate(order):
    best, most = None, -1.0
    for k in range(len(truth)):
        if k in taken:
            continue
        found = share(boxes[m], truth[k])
        if found > most:
            best, most = k, found
    if best is not None and most >= threshold:
        hits[m] = True
        taken.add(best)
return hits
""",
)
_UNION = "union = mine + other - both"
_bad = _maker("true_positives", _HITS)
_bad("chosen again", "it counts once", ("        taken.add(best)", "        pass"))
_bad(
    "gives up",
    "gives up",
    ("            if k in taken:\n                continue\n", ""),
    ("most >= threshold:", "most >= threshold and best not in taken:"),
)
_bad(
    "in the given order",
    "in the order in which they are given",
    ("scores.argsort(descending=True).tolist()", "range(len(boxes))"),
)
_bad("lowest first", "the lowest score chooses first", ("descending=True", "descending=False"))
_bad("sorted result", "in the order of the scores", ("hits[m] = True", "hits[place] = True"))
_bad(
    "first that is good enough",
    "not the best",
    ("if found > most:", "if found >= threshold and best is None:"),
)
_bad(
    "a miss takes",
    "takes a true box all the same",
    ("            taken.add(best)", "        if best is not None:\n            taken.add(best)"),
)
_bad(
    "no clamp",
    "do not touch counts",
    (
        "max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))",
        "float(min(a[2], b[2]) - max(a[0], b[0]))",
    ),
    (
        "max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))",
        "float(min(a[3], b[3]) - max(a[1], b[1]))",
    ),
)
_bad("smaller area", "the smaller area", (_UNION, "union = min(mine, other)"))
_bad("larger area", "the larger area", (_UNION, "union = max(mine, other)"))
_bad("no subtraction", "counted twice", (_UNION, "union = mine + other"))
_bad("area of the box", "by the area of the box", (_UNION, "union = mine"))
_bad("area of the true box", "by the area of the true box", (_UNION, "union = other"))
_bad(
    "plus one",
    "one pixel is added",
    ("float(min(a[2], b[2]) - max(a[0], b[0]))", "float(min(a[2], b[2]) - max(a[0], b[0]) + 1)"),
    ("float(min(a[3], b[3]) - max(a[1], b[1]))", "float(min(a[3], b[3]) - max(a[1], b[1]) + 1)"),
    ("float((a[2] - a[0]) * (a[3] - a[1]))", "float((a[2] - a[0] + 1) * (a[3] - a[1] + 1))"),
    ("float((b[2] - b[0]) * (b[3] - b[1]))", "float((b[2] - b[0] + 1) * (b[3] - b[1] + 1))"),
)
_bad("more than the threshold", "at least is enough", ("most >= threshold", "most > threshold"))
_bad("epsilon in the union", "small boxes", (_UNION, "union = mine + other - both + 1e-5"))
_bad("numbers for hits", "must have dtype torch.bool", ("return hits", "return hits.long()"))
_bad("indices of the hits", "has the wrong shape", ("return hits", "return hits.nonzero()"))
_bad("0/0", "does not run", ("both / union if union > 0 else 0.0", "both / union"))
_right(
    "true_positives",
    "a matrix in which rows and columns are crossed out",
    function(
        "true_positives(boxes, scores, truth, threshold)",
        """
hits = torch.zeros(boxes.shape[0], dtype=torch.bool)
if boxes.shape[0] == 0 or truth.shape[0] == 0:
    return hits
b, t = boxes.double().unsqueeze(1), truth.double().unsqueeze(0)
w = (torch.min(b[..., 2], t[..., 2]) - torch.max(b[..., 0], t[..., 0])).clip(0)
h = (torch.min(b[..., 3], t[..., 3]) - torch.max(b[..., 1], t[..., 1])).clip(0)
area = lambda x: (x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1])
overlap = torch.nan_to_num(w * h / (area(b) + area(t) - w * h))
for m in torch.sort(scores, descending=True).indices:
    value, k = overlap[m].max(dim=0)
    if value >= threshold:
        hits[m] = True
        overlap[:, k] = -1
return hits
""",
    ),
)

_right(
    "true_positives",
    "lists of numbers, a true box is deleted when it is taken",
    function(
        "true_positives(boxes, scores, truth, threshold)",
        """
def overlap(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


left, given = truth.tolist(), boxes.tolist()
result = [False] * len(given)
for m in sorted(range(len(given)), key=lambda i: -scores[i].item()):
    if left:
        values = [overlap(given[m], t) for t in left]
        k = values.index(max(values))
        if values[k] >= threshold:
            result[m] = True
            del left[k]
return torch.tensor(result, dtype=torch.bool)
""",
    ),
)

# ---------------------------------------------------------------- threshold

_ACCEPT = function(
    "threshold(scores, same, most)",
    """
friends, strangers = scores[same], scores[~same]
for t in scores.unique():
    wrong = (strangers >= t).double().mean()
    right = (friends >= t).double().mean()
    if wrong <= most:
        return t.item(), right.item()
return float("inf"), 0.0
""",
)
_bad = _maker("threshold", _ACCEPT)
_bad(
    "same the wrong way round",
    "the wrong way round",
    (
        "friends, strangers = scores[same], scores[~same]",
        "strangers, friends = scores[same], scores[~same]",
    ),
)
_bad("the largest", "the largest score", ("in scores.unique():", "in scores.unique().flip(0):"))
_bad(
    "scores of friends",
    "only the scores of pairs of one person",
    ("in scores.unique():", "in friends.unique():"),
)
_bad(
    "scores of strangers",
    "only the scores of pairs of different",
    ("in scores.unique():", "in strangers.unique():"),
)
_bad(
    "more than t",
    "exactly t is rejected",
    ("(strangers >= t)", "(strangers > t)"),
    ("(friends >= t)", "(friends > t)"),
)
_bad("more than t for strangers", "a stranger whose score", ("(strangers >= t)", "(strangers > t)"))
_bad("more than t for friends", "a friend whose score", ("(friends >= t)", "(friends > t)"))
_bad(
    "positive scores alone",
    "negative scores are left out",
    ("in scores.unique():", "in scores[scores > 0].unique():"),
)
_bad("fewer than most", "at most", ("wrong <= most", "wrong < most"))
_bad(
    "share of all pairs",
    "not of the pairs of different people",
    ("(strangers >= t).double().mean()", "(strangers >= t).double().sum() / len(scores)"),
)
_bad(
    "true accepts of all pairs",
    "not of the pairs of one person",
    ("(friends >= t).double().mean()", "(friends >= t).double().sum() / len(scores)"),
)
_bad(
    "all accepted",
    "all pairs that are accepted",
    ("(friends >= t).double().mean()", "(scores >= t).double().mean()"),
)
_bad("rejected", "the share that is rejected", ("(friends >= t)", "(friends < t)"))
_bad("false accepts returned", "is the false accepts", ("right.item()", "wrong.item()"))
_bad("false rejects bounded", "the rejected pairs", ("if wrong <= most", "if 1 - right <= most"))
_bad(
    "share of the accepted",
    "a share of the accepted pairs",
    (
        "(strangers >= t).double().mean()",
        "(strangers >= t).double().sum() / (scores >= t).double().sum()",
    ),
)
_bad(
    "the largest score at the end",
    "t is infinity",
    ('return float("inf"), 0.0', "return t.item(), right.item()"),
)
_bad("nothing at the end", "must return a pair", ('return float("inf"), 0.0', "return None"))
_bad(
    "t alone",
    "must return a pair",
    ("return t.item(), right.item()", "return t.item()"),
    ('return float("inf"), 0.0', 'return float("inf")'),
)
_right(
    "threshold",
    "sorted lists and counts",
    function(
        "threshold(scores, same, most)",
        """
pairs = list(zip(scores.tolist(), same.tolist()))
n_strangers = sum(not one for _, one in pairs)
n_friends = len(pairs) - n_strangers
answer = [float("inf"), 0]
for t in sorted({s for s, _ in pairs}, reverse=True):
    accepted = [one for s, one in pairs if s >= t]
    if (len(accepted) - sum(accepted)) / n_strangers > most:
        break
    answer = [t, sum(accepted) / n_friends]
return answer
""",
    ),
)
_right(
    "threshold",
    "a matrix of all scores and thresholds, tensors returned",
    function(
        "threshold(scores, same, most)",
        """
t = torch.unique(scores)
accepted = scores[None] >= t[:, None]
false = (accepted & ~same).sum(1) / (~same).sum()
true = (accepted & same).sum(1) / same.sum()
fine = (false <= most).nonzero()
if fine.numel() == 0:
    return torch.tensor(float("inf")), torch.tensor(0.0)
return t[fine[0, 0]], true[fine[0, 0]]
""",
    ),
)
