"""Dates as people write them, and the one way ISO 8601 writes them (chapter 10)."""

import dataclasses
import datetime
from typing import NamedTuple

import torch

from encoderlib.data.seeds import as_generator

__all__ = ["DATE_CHARACTERS", "DATE_FORMATS", "DatePairs", "DateTask", "date_task"]

FIRST_DAY, LAST_DAY = datetime.date(1970, 1, 1), datetime.date(2049, 12, 31)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# {d} day, {m} month, {y} year, all without leading zeros; the separator says what comes first:
# a point the day, a slash with the year last the month.
DATE_FORMATS = (
    "{d} {month} {y}",  # 4 July 2031
    "{month} {d}, {y}",  # July 4, 2031
    "{d} {mon} {y}",  # 4 Jul 2031
    "{weekday}, {d} {month} {y}",  # Friday, 4 July 2031
    "{wday} {mon} {d} {y}",  # Fri Jul 4 2031
    "the {d}{th} of {month}, {y}",  # the 4th of July, 2031
    "{d:02}.{m:02}.{y}",  # 04.07.2031
    "{m:02}/{d:02}/{y}",  # 07/04/2031
    "{y}/{m:02}/{d:02}",  # 2031/07/04
    "{y}{m:02}{d:02}",  # 20310704
    "{d}-{mon}-{yy:02}",  # 4-Jul-31
    "{y}年{m}月{d}日",  # 2031年7月4日
)
DATE_CHARACTERS = "".join(
    sorted({*"0123456789 -,./年月日", *"thestndrdof", *"".join(MONTHS), *"".join(WEEKDAYS)})
)


class DatePairs(NamedTuple):
    """Dates in two spellings; ``target[i]`` is the ISO form of ``source[i]``.

    Args:
        source: B dates, each in one of `DATE_FORMATS`.
        target: B dates as ``YYYY-MM-DD``, always ten characters.
    """

    source: list[str]
    target: list[str]


@dataclasses.dataclass(frozen=True)
class DateTask:
    """Two parts that share no day.

    Args:
        train: what may be learned from.
        test: what the model is judged on.
    """

    train: DatePairs
    test: DatePairs


def date_task(
    n_train: int,
    n_test: int,
    held_out: float = 0.1,
    seed: int | torch.Generator = 0,
) -> DateTask:
    """Dates of 1970 to 2049 in twelve formats, to be written as ISO 8601: a small translation.

    The days themselves are split first: a day of the test part stands in the training part in
    no format. No pair comes twice. Every source text stands for one day only, whatever its
    format (two digits of a year are read as in POSIX: 70 is 1970, 49 is 2049), so a perfect
    score is possible. `DATE_CHARACTERS` holds every character that can occur.

    Args:
        n_train: pairs to learn from.
        n_test: pairs to be judged on.
        held_out: share of the 29,220 days that belong to the test part.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if ``held_out`` is not between 0 and 1, or a part is asked for more pairs
            than it has (days times formats).
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out={held_out} must lie between 0 and 1")
    generator = as_generator(seed)
    days = torch.randperm((LAST_DAY - FIRST_DAY).days + 1, generator=generator)
    cut = round(held_out * len(days))
    return DateTask(
        train=_draw(n_train, days[cut:], "n_train", generator),
        test=_draw(n_test, days[:cut], "n_test", generator),
    )


def _draw(n: int, days: torch.Tensor, name: str, generator: torch.Generator) -> DatePairs:
    """Different (day, format) pairs, each equally likely."""
    available = len(days) * len(DATE_FORMATS)
    if not 0 <= n <= available:
        raise ValueError(
            f"{name}={n} must lie in 0..{available:,}: {len(days):,} days in {len(DATE_FORMATS)} "
            "formats; change held_out or ask for fewer"
        )
    picked = torch.randperm(available, generator=generator)[:n]  # (n,)
    dates = [
        FIRST_DAY + datetime.timedelta(days=day)
        for day in days[picked // len(DATE_FORMATS)].tolist()
    ]
    formats = (picked % len(DATE_FORMATS)).tolist()
    source = [_write(date, DATE_FORMATS[index]) for date, index in zip(dates, formats, strict=True)]
    return DatePairs(source, [date.isoformat() for date in dates])


def _write(date: datetime.date, template: str) -> str:
    """``date.strftime`` would follow the machine's language; these words are always English."""
    month, weekday = MONTHS[date.month - 1], WEEKDAYS[date.weekday()]
    endings = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    return template.format(
        d=date.day,
        m=date.month,
        y=date.year,
        yy=date.year % 100,
        th=endings.get(date.day, "th"),
        month=month,
        mon=month[:3],
        weekday=weekday,
        wday=weekday[:3],
    )
