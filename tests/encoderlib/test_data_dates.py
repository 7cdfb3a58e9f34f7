"""encoderlib.data.dates: every spelling means its day, and only that day."""

import datetime
import re
from collections import Counter

import pytest

from encoderlib.data import DATE_CHARACTERS, DATE_FORMATS, date_task, dates

# The spellings as the standard library's parser knows them, and a shape that tells them apart.
PARSERS = [
    (r"\d+ [A-Z][a-z]{3,} \d{4}|\d+ May \d{4}", "%d %B %Y"),
    (r"[A-Z][a-z]+ \d+, \d{4}", "%B %d, %Y"),
    (r"\d+ [A-Z][a-z]{2} \d{4}", "%d %b %Y"),
    (r"[A-Z][a-z]+day, \d+ [A-Z][a-z]+ \d{4}", "%A, %d %B %Y"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d+ \d{4}", "%a %b %d %Y"),
    (r"the \d+(st|nd|rd|th) of [A-Z][a-z]+, \d{4}", "the %d of %B, %Y"),
    (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"),
    (r"\d\d/\d\d/\d{4}", "%m/%d/%Y"),
    (r"\d{4}/\d\d/\d\d", "%Y/%m/%d"),
    (r"\d{8}", "%Y%m%d"),
    (r"\d+-[A-Z][a-z]{2}-\d\d", "%d-%b-%y"),
    (r"\d{4}年\d+月\d+日", "%Y年%m月%d日"),
]


def formats_of(text: str) -> list[int]:
    return [i for i, (shape, _) in enumerate(PARSERS) if re.fullmatch(shape, text)]


def parse(text: str, index: int) -> datetime.date:
    plain = re.sub(r"(?<=\d)(st|nd|rd|th)(?= of)", "", text)
    return datetime.datetime.strptime(plain, PARSERS[index][1]).date()


@pytest.fixture(scope="module")
def task():
    return date_task(6000, 1500, seed=1)


def test_every_source_parses_to_its_target(task):
    for part in (task.train, task.test):
        assert len(part.source) == len(part.target)
        for source, target in zip(part.source, part.target, strict=True):
            days = {parse(source, index) for index in formats_of(source)}
            assert days == {datetime.date.fromisoformat(target)}, source
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", target)


def test_weekdays_and_ordinals_are_right(task):
    endings = {"1": "st", "2": "nd", "3": "rd", "11": "th", "12": "th", "13": "th"}
    seen = set()
    for source, target in zip(*task.train, strict=True):
        day = datetime.date.fromisoformat(target)
        if match := re.match(r"([A-Z]\w+day),|(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ", source):
            assert (match[1] or match[2]) in (day.strftime("%A"), day.strftime("%a"))
        if match := re.match(r"the (\d+)(\w\w) of", source):
            number = match[1]
            assert match[2] == endings.get(number, endings.get(number[-1], "th"))
            seen.add(int(number))
    assert seen == set(range(1, 32))


def test_twelve_formats_come_about_equally_often(task):
    """May is written alike in full and short, so two formats share its dates."""
    counts = Counter(formats_of(source)[-1] for source in task.train.source)
    assert len(DATE_FORMATS) == len(PARSERS) == len(counts) == 12
    slack = 5 * (6000 / 12) ** 0.5
    may = sum(bool(re.fullmatch(r"\d+ May \d{4}", source)) for source in task.train.source)
    counts[0], counts[2] = counts[0] + may / 2, counts[2] - may / 2
    assert all(abs(count - 500) < slack for count in counts.values())


def test_train_and_test_share_no_day_and_no_pair_comes_twice(task):
    days = [set(part.target) for part in (task.train, task.test)]
    assert days[0] & days[1] == set()
    for part in (task.train, task.test):
        assert len(set(zip(*part, strict=True))) >= 0.995 * len(part.source)  # May again
        assert len(set(part.target)) > 0.75 * min(len(part.target), 2922)


def test_days_fill_the_eighty_years(task, monkeypatch):
    years = Counter(int(target[:4]) for target in task.train.target)
    assert min(years) == 1970
    assert max(years) == 2049
    assert len(years) == 80
    assert set("".join(task.train.source)) | set("0123456789-") == set(DATE_CHARACTERS)
    monkeypatch.setattr(dates, "DATE_FORMATS", ("{d} {month} {y}",))
    everything = date_task(26298, 2922, seed=2)  # a tenth of all days to test
    days = set(everything.train.target) | set(everything.test.target)
    assert len(days) == 29220
    assert (min(days), max(days)) == ("1970-01-01", "2049-12-31")


def test_the_held_out_share_is_kept():
    small = date_task(0, 12 * 292, held_out=0.01)
    assert len(set(small.test.target)) == 292
    assert small.train == ([], [])
    with pytest.raises(ValueError, match=r"n_test=3505 must lie in 0..3,504: 292 days in 12"):
        date_task(1, 12 * 292 + 1, held_out=0.01)
    with pytest.raises(ValueError, match=r"n_train=10\d+ must lie in 0..3,504"):
        date_task(100000, 1, held_out=0.99)
    with pytest.raises(ValueError, match=r"n_test=-1 must lie in"):
        date_task(1, -1)
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            date_task(1, 1, held_out=share)


def test_the_seed_decides(task):
    assert date_task(6000, 1500, seed=1) == task
    assert date_task(6000, 1500, seed=2).train != task.train
    assert date_task(6000, 1500, seed=2).test != task.test
