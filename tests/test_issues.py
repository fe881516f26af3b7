"""Pages of one issue: a tail on another page comes home, and the ledger stays true."""

import shutil
from pathlib import Path

import pytest

from bot import render
from homes import Home
from rag import issues, pages
from rag.ledger import Ledger
from rag.types import Article

HEAD = (
    "青石县去年在柳河上修了八座便民桥，两岸一万多名群众出门不用再绕路。",
    "八座桥总投资两千三百万元，由省、市、县三级",
)
TAIL = (
    "共同承担。县交通局局长沈大江介绍，每座便民桥都留了人行道，柳河两岸的孩子们上学可以放心走。",
    "沈大江说，今年青石县还要在柳河上游再修三座便民桥，图纸已经画好。",
)
BEES = (
    "云岭村的养蜂人鲁大川去年回到村里，办起养蜂夜校，教会了四十户邻居分箱和取蜜。",
    "鲁大川说，一箱蜂一年能收三十斤蜜，追花的日子虽然辛苦，心里是甜的。",
)
LIBRARY = (
    "云港市图书馆新馆昨天开门迎客，藏书一百二十万册，夜里十点才关门。",
    "馆长方敏介绍，新馆设有盲文阅览室和少年科学角，读者凭身份证就能借书。",
)
BRIDGE = f"{HEAD[0]}\n{HEAD[1]}{TAIL[0]}\n{TAIL[1]}"
DAY = "青石日报 2024年3月5日 星期二 "


def _page(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


def _first(*, mark: str = "", day: str = DAY) -> str:
    return _page(
        f"{day}第1版", "八座便民桥连起柳河两岸", *HEAD, *([mark] if mark else ()), "追花的人", *BEES
    )


def _third(*, mark: str = "", day: str = DAY) -> str:
    return _page(f"{day}第3版", mark + TAIL[0], TAIL[1], "云港市图书馆新馆开门迎客", *LIBRARY)


FIRST, THIRD = _first(), _third()


def _read(*texts: str) -> list[tuple[Article, ...]]:
    return pages.articles_of_issue(
        [pages.read(text, name=f"{n}.txt", path=f"in/{n}.txt") for n, text in enumerate(texts)]
    )


pytestmark = pytest.mark.usefixtures("quick_probe")


@pytest.fixture
def issue(tmp_path: Path) -> Path:
    folder = tmp_path / "issue"
    folder.mkdir()
    (folder / "1.txt").write_text(FIRST, encoding="utf-8")
    (folder / "3.txt").write_text(THIRD, encoding="utf-8")
    return folder


def _texts(home: Home) -> dict[str, str]:
    return {article.title: article.text for article in home.records.articles("", 100)}


def _clean(tmp_path: Path, *places: Path) -> object:
    """The state of a home that has only ever seen these places."""
    other = Home.at(tmp_path / "clean")
    other.ingest(*places)
    state = other.state()
    other.close()
    return state


# ---- pages that are read together --------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "into"),
    [("", ""), ("（下转第3版）", "（上接第1版）")],
    ids=["unmarked", "marked"],
)
def test_a_tail_on_another_page_comes_home(out: str, into: str) -> None:
    first, third = _read(_first(mark=out), _third(mark=into))
    assert [article.title for article in first] == ["八座便民桥连起柳河两岸", "追花的人"]
    assert first[0].text == BRIDGE
    assert [article.title for article in third] == ["云港市图书馆新馆开门迎客"]


def test_a_jump_mark_in_a_line_of_its_own_counts() -> None:
    first, third = _read(_first(mark="（下转第3版）"), _third(mark="（上接第1版）\n\n"))
    assert first[0].text == BRIDGE
    assert len(third) == 1


@pytest.mark.parametrize(("out", "into"), [("", "（上接第1版）"), ("（下转第3版）", "")])
def test_a_jump_mark_without_its_counterpart_joins_nothing(out: str, into: str) -> None:
    first, third = _read(_first(mark=out), _third(mark=into))
    assert first[0].text == "\n".join(HEAD)
    assert (third[0].title, third[0].text) == ("", "\n".join(TAIL))


def test_fragments_say_which_page_they_are_on() -> None:
    first, _ = _read(FIRST, THIRD)
    texts = {"": FIRST, "in/1.txt": THIRD}
    pieces = [texts[f.path][f.start : f.end] for f in first[0].fragments]
    assert pieces == [*HEAD, *TAIL]


def test_a_fragment_of_another_matter_stays_loose() -> None:
    stray = "，余下的三成由渔民自己出。”海事部门的人这样回答，渔港的夜校六月开班。"
    third = _page(f"{DAY}第3版", stray, "云港市图书馆新馆开门迎客", *LIBRARY)
    first, other = _read(FIRST, third)
    assert first[0].text == "\n".join(HEAD)
    assert (other[0].title, other[0].text) == ("", stray)


def test_only_pages_of_one_paper_day_and_folder_are_an_issue() -> None:
    def issue(text: str, path: str) -> str:
        return pages.read(text, name="x", path=path).issue

    same = issue(FIRST, "in/1.txt")
    assert same
    assert issue(THIRD, "in/3.txt") == same
    assert issue(THIRD, "elsewhere/3.txt") != same
    assert issue(_third(day="青石日报 2024年3月6日 "), "in/3.txt") != same
    assert issue(_third(day="云港晚报 2024年3月5日 "), "in/3.txt") != same
    assert issue(_third(day=""), "in/3.txt") == ""


# ---- the ledger --------------------------------------------------------------------------------


def test_an_article_of_two_files_is_kept_once_with_both(home: Home, issue: Path) -> None:
    report = home.ingest(issue)
    assert (report.added, report.articles) == (3, 3)
    assert _texts(home)["八座便民桥连起柳河两岸"] == BRIDGE
    (bridge,) = home.records.newest(title="便民桥")
    assert bridge.path == str(issue / "1.txt")
    assert {f.path for f in bridge.fragments} == {"", str(issue / "3.txt")}
    again = home.ingest(issue)
    assert (again.unchanged, again.added, again.updated, again.removed) == (3, 0, 0, 0)


def test_a_page_that_comes_later_is_joined_to_what_is_there(home: Home, issue: Path) -> None:
    home.ingest(issue / "1.txt")
    assert _texts(home)["八座便民桥连起柳河两岸"] == "\n".join(HEAD)
    report = home.ingest(issue / "3.txt")
    assert (report.added, report.updated, report.removed) == (1, 1, 0)
    assert _texts(home)["八座便民桥连起柳河两岸"] == BRIDGE


def test_a_change_on_the_tail_s_page_changes_the_article(
    home: Home, issue: Path, tmp_path: Path
) -> None:
    home.ingest(issue)
    (issue / "3.txt").write_text(THIRD.replace("图纸", "蓝图"), encoding="utf-8")
    report = home.ingest(issue)
    assert (report.added, report.updated, report.removed) == (0, 1, 0)
    assert _texts(home)["八座便民桥连起柳河两岸"] == BRIDGE.replace("图纸", "蓝图")
    assert home.state() == _clean(tmp_path, issue)


def test_a_tail_whose_head_goes_is_a_fragment_again(
    home: Home, issue: Path, tmp_path: Path
) -> None:
    home.ingest(issue)
    (issue / "1.txt").unlink()
    home.ingest(issue, sync=True)
    assert _texts(home)[""] == "\n".join(TAIL)
    assert home.state() == _clean(tmp_path, issue)


def test_a_head_whose_tail_goes_ends_where_its_page_does(
    home: Home, issue: Path, tmp_path: Path
) -> None:
    home.ingest(issue)
    (issue / "3.txt").unlink()
    report = home.ingest(issue, sync=True)
    assert (report.updated, report.removed) == (1, 1)
    assert _texts(home)["八座便民桥连起柳河两岸"] == "\n".join(HEAD)
    assert home.state() == _clean(tmp_path, issue)


def test_a_moved_issue_is_unchanged(home: Home, issue: Path, tmp_path: Path) -> None:
    home.ingest(issue)
    home.embedder.embedded.clear()
    moved = Path(shutil.move(issue, tmp_path / "moved"))
    report = home.ingest(moved)
    assert (report.unchanged, report.moved, report.added, report.removed) == (3, 3, 0, 0)
    assert home.embedder.embedded == []
    assert home.state() == _clean(tmp_path, moved)


def test_a_tail_s_page_that_moves_away_takes_its_tail_along(
    home: Home, issue: Path, tmp_path: Path
) -> None:
    home.ingest(issue)
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(issue / "3.txt", other / "3.txt")
    home.ingest(other)
    assert _texts(home)["八座便民桥连起柳河两岸"] == "\n".join(HEAD)
    assert home.state() == _clean(tmp_path, issue, other)


def test_a_dry_run_says_what_an_ingest_does(home: Home, issue: Path) -> None:
    would = home.preview(issue)
    did = home.ingest(issue)
    assert (would.added, would.updated) == (did.added, did.updated)


def test_pages_in_an_archive_are_an_issue_too(home: Home, issue: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "issue"), "zip", issue))
    home.ingest(archive)
    assert _texts(home)["八座便民桥连起柳河两岸"] == BRIDGE


def test_a_run_that_ends_in_the_midst_of_an_issue_is_made_good(
    home: Home, issue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ingest(issue)
    (issue / "3.txt").write_text(THIRD.replace("图纸", "蓝图"), encoding="utf-8")
    put, done = Ledger.put_file, list[str]()

    def ends(self: Ledger, path: str, *rest: object) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(path)
        put(self, path, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "put_file", ends)
        with pytest.raises(KeyboardInterrupt):
            home.ingest(issue)
    home.ingest(issue)
    assert home.state() == _clean(tmp_path, issue)


def test_more_files_than_a_newspaper_has_pages_are_each_read_alone(
    home: Home, issue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issues, "MOST", 2)
    for number in range(4, 7):
        (issue / f"{number}.txt").write_text(
            _page(f"{DAY}第{number}版", f"第{number}篇短讯", BEES[0])
        )
    home.ingest(issue)
    assert _texts(home)["八座便民桥连起柳河两岸"] == "\n".join(HEAD)


def test_a_fragment_on_another_page_is_shown_with_its_file() -> None:
    first, _ = _read(FIRST, THIRD)
    shown = render.article_json(first[0], with_text=False)["fragments"]
    assert isinstance(shown, list)
    assert [part.get("path") for part in shown] == [None, None, "in/1.txt", "in/1.txt"]
