"""The place that an article is about."""

import pytest

from rag.metadata.places import Place, place_of
from rag.types import Article


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("雁塔区政协组织委员视察。", Place("陕西省", "西安市", "雁塔区")),
        ("在江苏无锡，老街换了模样。", Place("江苏省", "无锡市")),
        ("辽宁省朝阳市政协召开会议。", Place("辽宁省", "朝阳市")),
        ("北京市朝阳区的胡同里。", Place("北京市", "", "朝阳区")),
        ("福建省福州市鼓楼区发放补贴。", Place("福建省", "福州市", "鼓楼区")),
        ("江苏省南京市鼓楼区发放补贴。", Place("江苏省", "南京市", "鼓楼区")),
        ("养蜂人追着花走。", Place()),
    ],
)
def test_a_place_has_its_province_and_city(text: str, place: Place) -> None:
    assert place_of(Article("a1", "", text)) == place
