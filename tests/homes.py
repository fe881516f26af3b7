"""Small homes of articles for tests, and a process of its own that works on one.

Run as `python homes.py HOME PATH...` it ingests as the command line does, with the hashing
embedder; a test may kill it.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np

from embeddings.embedder import Reading, Vector, Vectors
from fakes import HashingEmbedder
from rag import ingest
from rag.formats.web import Web
from rag.ingest import Place, Report, Watcher
from rag.records import Records
from rag.store import VectorIndex
from rag.types import Article

ROOT = Path(__file__).resolve().parents[1]
_WORDS = (
    "区政协 委员 建议 数据 共享 企业 服务 社区 养老 食堂 停车 水质 河道 古树 校园 图书馆 菜场 调研"
    " 座谈会 街道 居民 电梯 补贴 政策 宣传 上门 窗口 流程 责任 清单 半年 公示 评议 农田 灌溉 物流"
).split()


class CountingEmbedder(HashingEmbedder):
    """Keeps the texts it was given, and its directions, which costs tests less."""

    def __init__(self, dim: int = 32, name: str = "hashing@1") -> None:
        super().__init__(dim, name)
        self.embedded: list[str] = []

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        self.embedded.extend(texts)
        return super().embed_passages(texts)

    def read(self, texts: Sequence[str]) -> list[Reading]:
        return [Reading(np.zeros(0, np.float32), self._tokens(text[:12])) for text in texts]

    def _direction(self, gram: str) -> Vector:
        return _direction(self.dim, gram)


@lru_cache(maxsize=100_000)
def _direction(dim: int, gram: str) -> Vector:
    return HashingEmbedder(dim)._direction(gram)


@dataclass(frozen=True, slots=True)
class Home:
    """What `open_app` wires, with the stand-in embedder."""

    folder: Path
    records: Records
    index: VectorIndex
    embedder: CountingEmbedder

    @classmethod
    def at(cls, folder: Path, embedder: CountingEmbedder | None = None) -> "Home":
        records = Records(folder)
        return cls(folder, records, VectorIndex(folder, records), embedder or CountingEmbedder())

    def ingest(
        self,
        *places: Place,
        sync: bool = False,
        watcher: Watcher | None = None,
        reach: Web | None = None,
    ) -> Report:
        return ingest.ingest(
            places,
            self.records,
            self.index,
            self.embedder,
            sync=sync,
            watcher=watcher,
            reach=reach,
        )

    def preview(self, *places: Place, sync: bool = False) -> Report:
        return ingest.preview(places, self.records, sync=sync)

    def remove(self, *ids: str) -> int:
        return ingest.remove(ids, self.records, self.index, self.embedder)

    def nearest(self, text: str, limit: int = 3) -> list[str]:
        """The texts of the passages that the vector index finds."""
        ids = self.index.search(self.embedder.embed_query(text).vector, limit)
        found = {p.passage.passage_id: p.passage.text for p in self.records.passages_by_id(ids)}
        return [found[id_] for id_ in ids]

    def generations(self) -> list[str]:
        """What lies in the folder of the vector index."""
        return sorted(path.name for path in (self.folder / "vectors").iterdir())

    def state(self) -> tuple[list[Article], list[str], list[str]]:
        """All that must be the same after the same files: articles, passages, ids in the index."""
        passages = sorted(self.records.passage_ids())
        vector = self.embedder.embed_query("区政协").vector
        indexed = sorted(self.index.search(vector, 1_000_000))
        return self.records.articles("", 1_000_000), passages, indexed

    def close(self) -> None:
        self.index.close()
        self.records.close()


def prose(seed: int, sentences: int = 12) -> str:
    """Some sentences that no other seed gives."""
    dice = random.Random(seed)
    lines = ("".join(dice.choices(_WORDS, k=9)) for _ in range(sentences))
    return "".join(f"第{seed}号{line}。" for line in lines)


def article(seed: int, **fields: str) -> dict[str, str]:
    """A line of an articles file."""
    return {"id": f"a{seed:05d}", "title": f"第{seed}篇", "text": prose(seed), **fields}


def write_articles(path: Path, articles: Sequence[dict[str, str]]) -> Path:
    lines = [json.dumps(each, ensure_ascii=False) for each in articles]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def start_ingest(home: Path, *paths: Path) -> "subprocess.Popen[str]":
    """An ingest in a process of its own; it prints `ready` before it begins."""
    command = [sys.executable, __file__, str(home), *map(str, paths)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def write_mixed(folder: Path, files: int = 30) -> Path:
    """Files of several kinds, some articles printed in two of them, some pages in an archive.

    Two pages are of one issue, and an article of the first ends on the second.
    """
    folder.mkdir()
    write_issue(folder / "issue")
    for i in range(files):
        rows = [article(5 * i + j) for j in range(5)]
        if i % 4 == 3:
            rows[0] = article(5 * i, text=f"本报讯 {prose(5 * (i - 2))}", source="晚报")
        write_articles(folder / f"{i}.jsonl", rows)
    with zipfile.ZipFile(folder / "issue.zip", "w") as archive:
        for i in range(1_000, 1_006):
            archive.writestr(f"{i}.md", f"# 第{i}篇\n\n{prose(i)}\n")
    (folder / "web.html").write_text(
        f"<html><title>第2000篇</title><body><h1>第2000篇</h1><p>{prose(2_000)}</p></body></html>",
        encoding="utf-8",
    )
    return folder


def write_issue(folder: Path) -> Path:
    """Pages 1 and 3 of an issue; what stops in mid-sentence on one goes on on the other."""
    folder.mkdir()
    day = "青石日报 2024年3月5日 星期二 "
    cut = prose(3_000).index("养老") + 1
    head, tail = prose(3_000)[:cut], prose(3_000)[cut:]
    first = (f"{day}第1版", "八座便民桥连起柳河两岸", f"{head}（下转第3版）")
    third = (f"{day}第3版", f"（上接第1版）{tail}", "新馆开门迎客", prose(3_001))
    for name, blocks in (("1.txt", first), ("3.txt", third)):
        (folder / name).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return folder


def kill_ingest(home: Path, folder: Path, after_s: float) -> bool:
    """Starts an ingest and kills it after some time; says whether it was still at work."""
    child = start_ingest(home, folder)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return child.returncode == -signal.SIGKILL


def _own_peak_mb() -> int:
    """Without what its parent held when it was started, which getrusage counts too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) // 1024


def main(home: str, *paths: str) -> None:
    import_module("chromadb")  # before `ready`, so that what follows is work
    opened = Home.at(Path(home))
    print("ready", flush=True)
    ends = [time.monotonic()]
    watcher = Watcher(file_done=lambda report: ends.append(time.monotonic()))
    report = opened.ingest(*map(Path, paths), watcher=watcher)
    opened.close()
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    cost = {"peak_mb": _own_peak_mb(), "peak_mb_of_children": others}
    longest = max((b - a for a, b in pairwise(ends)), default=0.0)
    print(json.dumps({**report.to_json(), **cost, "longest_s": longest}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
