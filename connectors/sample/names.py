"""Names that sound native and belong to nobody, and phone numbers that cannot be dialled."""

from __future__ import annotations

import numpy as np

from connectors.sample.dice import pick

_SURNAMES = (
    "王王王李李李张张张陈陈陈陈刘刘周周周吴吴吴徐徐徐沈沈俞金金楼章骆杨黄赵孙朱马胡郭何高林罗郑梁谢宋唐许"
    "韩冯邓曹彭曾萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚姜崔钟谭陆汪范石廖贾夏韦方白邹孟熊秦邱江尹薛闫段雷侯龙陶黎"
    "史贺毛龚邵钱严洪施裘"
)
_GIVEN_NAMES = (
    "子涵 雨桐 梓轩 一诺 思远 嘉怡 浩然 欣怡 俊杰 诗涵 宇航 梦琪 天宇 佳琪 文博 静怡 明哲 雅婷 "
    "志远 晓彤 泽宇 若曦 承泽 语嫣 睿哲 可欣 逸飞 舒涵 景行 婉清 建国 丽娜 国栋 美玲 海涛 晓燕 "
    "立新 春燕 永强 秋月 伟 芳 敏 静 磊 洋 艳 勇 军 杰 涛 超 霞 平 "
    "刚 桂英 婷 雪 倩 帅 凯 航 宁 蕾 晨 琳 鹏 辉 璐 颖 昊 妍 "
    "知夏 南星 予安 清越 亦凡 沐阳 书瑶 星辰 念慈 疏影 怀瑾 云舒 听澜 乐天 安歌 之遥 长风 青禾 "
    "望舒 半夏 家豪 慧敏 振宇 淑芬 世杰 晓峰 燕妮 国庆 玉兰 志强 小蕊 大伟 文静 思思 莉莉 晶晶 "
    "圆圆 乐乐 佳宁 泽楷"
)
_GIVEN = _GIVEN_NAMES.split()


class Register:
    """Hands out names and numbers; no number twice, and none that a fixed person has."""

    def __init__(self, rng: np.random.Generator, *, taken_names: set[str]) -> None:
        self._rng = rng
        self._taken_names = taken_names
        self._numbers: set[int] = set()

    def name(self) -> str:
        while True:
            name = pick(self._rng, _SURNAMES) + pick(self._rng, _GIVEN)
            if name not in self._taken_names:
                return name

    def phone(self) -> str:
        while True:
            number = int(self._rng.integers(10_000_000, 100_000_000))  # fixed people stand below
            if number not in self._numbers:
                self._numbers.add(number)
                return f"100{number:08}"
