"""Counts of a trial that ran elsewhere: what the page says of them, and what it says of counts that cannot be."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from playwright.sync_api import Browser, expect

from renewal import countboard
from tests.makers import make_user

pytestmark = pytest.mark.django_db
PATH = "/admin/experiment/counts/"


def visit(client: Client, status: int = 200, /, **typed: str) -> str:
    client.force_login(make_user("hq", is_superuser=True))
    answer = client.get(PATH, typed)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def test_the_public_cookie_cats_counts_are_shown_as_they_are(client: Client) -> None:
    page = visit(client, **countboard.example())
    assert "人数未见异常（p = 0.0086）" in page
    assert "A 44,700 人，B 45,489 人：平均分组时出现这种差距的概率 p = 0.0086" in page
    assert "报警线为 0.001：一千次正常试验中约有一次被误报。 平均分组时少见，但还不足以怀疑。" in page
    assert "次日留存：A 高出 0.6 个百分点，区间 −0.1 至 1.2" in page
    assert "z = 1.784，p = 0.0744；即使这是事先约定的唯一一次检视，也不能分辨两个版本。" in page
    assert "7 日留存：A 高出 0.8 个百分点，区间 0.3 至 1.3" in page
    assert "z = 3.164，p = 0.00155；如果这是事先约定的唯一一次检视，两个版本可以分辨。" in page
    assert "44.8%" in page
    assert "44.4–45.3%" in page
    assert "20,034 / 44,700" in page


def test_it_reads_in_english_too_and_the_better_one_may_be_b(client: Client) -> None:
    client.cookies["django_language"] = "en"
    page = visit(client, n_A="1,000", n_B="１０００", k_A_1="100", k_B_1="140")
    assert "The sizes raise no alarm (p = 1)" in page
    assert "measure 1: B is ahead by 4.0 points" in page


def test_sizes_that_do_not_match_are_said_first(client: Client) -> None:
    page = visit(client, n_A="44000", n_B="45489", k_A_1="20034", k_B_1="20119")
    assert "人数对不上：这些数字得不出结论" in page
    assert "低于报警线 0.001：有一组的人在途中丢失。" in page


@pytest.mark.parametrize(
    ("typed", "fault", "field"),
    [
        ({"n_A": "100"}, "缺少一个数字。", "n_B"),
        ({"n_A": "100", "n_B": "-3"}, "“-3”不是 0 或正整数。", "n_B"),
        ({"n_A": "1.5", "n_B": "3"}, "“1.5”不是 0 或正整数。", "n_A"),
        ({"n_A": "0", "n_B": "3"}, "每个版本至少有一人。", "n_A"),
        ({"n_A": "9" * 40, "n_B": "3"}, f"“{'9' * 20}”超出一次试验可能的人数。", "n_A"),
        ({"n_A": "100", "n_B": "100"}, "请至少填写一个指标的人数。", "k_A_1"),
        ({"n_A": "100", "n_B": "100", "name_2": "留存"}, "缺少一个数字。", "k_A_2"),
        ({"n_A": "100", "n_B": "100", "k_A_1": "101", "k_B_1": "5"}, "“101”超过了该组的 100 人。", "k_A_1"),
    ],
)
def test_counts_that_cannot_be_get_one_sentence_and_stay(
    client: Client, typed: dict[str, str], fault: str, field: str
) -> None:
    page = visit(client, 422, **typed)
    assert page.count('role="alert"') == 1
    assert fault in page
    assert f'name="{field}"' in page.split('aria-invalid="true"')[0].rsplit("<input", 1)[1]
    for value in typed.values():
        assert f'value="{value}"' in page


def test_nobody_and_everybody_is_no_difference(client: Client) -> None:
    page = visit(client, n_A="10", n_B="12", k_A_1="0", k_B_1="0", k_A_2="10", k_B_2="12")
    assert page.count("z = 0.000，p = 1；") == 2
    assert page.count("人数太少，这种检验偏松；精确检验更难分辨。") == 2


def test_a_p_too_small_to_write_is_not_nought_and_large_counts_get_no_caution(client: Client) -> None:
    page = visit(client, n_A="900000", n_B="1000000", k_A_1="450000", k_B_1="400000")
    assert page.count("p = &lt; 1e-12") == 0
    assert page.count("p &lt; 1e-12") == 2
    assert "人数太少" not in page


@pytest.mark.django_db(transaction=True)
def test_the_example_is_a_click_away_and_fits_a_phone(chromium: Browser, live_server: Any) -> None:
    make_user("hq", is_superuser=True, password=make_password("hq"))
    context = chromium.new_context(base_url=live_server.url, locale="zh-CN", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto("/admin/experiment/")
    page.fill("input[name=username]", "hq")
    page.fill("input[name=password]", "hq")
    page.click("button[type=submit]")
    page.click("a[href$='experiment/counts/']")
    page.click("text=公开的例子")
    expect(page.locator("#answer")).to_have_text("人数未见异常（p = 0.0086）")
    assert dict(parse_qsl(page.url.split("?")[1])) == countboard.example()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()
