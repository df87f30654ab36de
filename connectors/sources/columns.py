"""Our columns of each source, and what the exports of other software call them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

Synonyms = dict[str, tuple[str, ...]]

CONTRACTS: Synonyms = {
    "合同编号": ("合同号", "合同编码", "租约编号", "租约号", "合约编号", "单据编号", "contract no", "contract number"),
    "版本": ("版本号", "合同版本", "变更次数", "revision", "version"),
    "房源编号": ("房间编号", "房间号", "房号", "房源", "房源编码", "房源号", "房间", "门牌号", "单元编号", "room",
                 "unit"),
    "租客姓名": ("租客", "租客名称", "承租人", "承租人姓名", "承租方", "租户", "租户姓名", "客户姓名", "客户名称",
                 "姓名",
               "乙方", "tenant", "tenant name"),
    "手机号": ("手机号码", "手机", "租客手机", "租客手机号", "承租人手机号", "联系电话", "联系方式", "租客电话", "电话",
             "电话号码", "移动电话", "phone", "mobile"),
    "签约日期": ("签订日期", "签约时间", "签订时间", "签署日期", "合同签订日期", "签合同日期", "签定日期", "signed on"),
    "起租日期": ("合同开始日期", "合同起始日期", "租期开始", "租赁开始日期", "开始日期", "起始日期", "租约开始日期",
             "合同开始时间", "起租日", "起租时间", "入住日期", "租期起", "租期起始", "租期开始日期", "租期开始日",
             "start date", "first day"),
    "到期日期": ("合同结束日期", "合同到期日期", "合同终止日期", "租期结束", "租赁结束日期", "结束日期", "截止日期",
             "合同到期日", "合同结束时间", "到期日", "到期时间", "租约到期日", "租期止", "租期截止", "租期结束日期",
             "租期结束日", "终止日期", "end date", "last day"),
    "月租金": ("租金", "月租", "房租", "每月租金", "租金标准", "合同租金", "月租金额", "月租金金额", "成交租金",
               "租金单价",
            "monthly rent", "rent"),
    "押金": ("押金金额", "房屋押金", "租房押金", "租赁押金", "押金合计", "保证金", "deposit"),
    "计租日": ("起算日", "账单日", "锚定日", "anchor day"),
    "合同状态": ("状态", "租约状态", "租赁状态", "状况", "status"),
    "续签自": ("原合同编号", "原合同号", "续签原合同", "续签自合同", "上一合同编号", "续租自", "renews"),
    "提前终止日期": ("实际退租日期", "退租日期", "实际退房日期", "解约日期", "提前退租日期", "实际终止日期",
                     "ended on"),
    "终止方": ("解约方", "退租发起方", "终止发起方", "ended by"),
    "终止约定日期": ("解约协议日期", "退租协议日期", "退租申请日期"),
    "App账号": ("App用户", "App用户ID", "用户ID", "会员ID", "app user"),
    "社群号": ("社群账号", "群成员号", "community member"),
    "同住人": ("共同承租人", "合租人", "同住人信息", "共同居住人"),
    "身份证号": ("身份证号码", "身份证", "证件号码", "证件号", "承租人身份证号", "租客身份证号", "id card",
                 "id number"),
    "微信openid": ("openid", "微信号openid"),
    "快递柜账号": ("快递柜用户",),
}  # fmt: skip
UNITS: Synonyms = {
    "楼栋编号": ("楼栋", "楼号", "栋号", "楼栋号", "项目编号", "门店编号", "building"),
    "楼栋名称": ("项目", "项目名称", "门店", "门店名称", "公寓名称", "小区", "小区名称", "building name"),
    "地址": ("项目地址", "门店地址", "详细地址", "address"),
    "纬度": ("lat", "latitude"),
    "经度": ("lng", "lon", "longitude"),
    "物联网": ("智能设备", "是否物联网", "iot"),
    "套": ("套编号", "套房编号", "套房", "flat"),
    "房源编号": CONTRACTS["房源编号"],
    "户型": ("房型", "户型名称", "room type"),
    "楼层": ("所在楼层", "层", "floor"),
    "面积": ("建筑面积", "房间面积", "使用面积", "平米", "area"),
    "挂牌月租": ("挂牌价", "挂牌租金", "标准租金", "月租金", "租金", "底价", "list rent"),
    "门锁编号": ("门锁", "智能门锁编号", "lock"),
    "电表编号": ("电表", "电表号", "power meter"),
    "水表编号": ("水表", "水表号", "water meter"),
}
RATES: Synonyms = {
    "楼栋编号": UNITS["楼栋编号"],
    "户型": UNITS["户型"],
    "租期月数": ("租期", "租期（月）", "租约月数", "月数", "term months"),
    "免租月数": ("免租期", "免租", "free months"),
    "月租金": CONTRACTS["月租金"],
    "签约起": ("签约开始日期", "生效日期", "开始日期", "signed from"),
    "签约止": ("签约结束日期", "失效日期", "结束日期", "截止日期", "signed to"),
}
CONSENTS: Synonyms = {
    "手机号": CONTRACTS["手机号"],
    "用途": ("授权用途", "同意用途", "目的", "purpose"),
    "渠道": ("授权渠道", "触达渠道", "channel"),
    "同意": ("是否同意", "是否授权", "授权", "granted"),
    "时间": ("授权时间", "同意时间", "签署时间", "at"),
    "文本版本": ("协议版本", "授权书版本", "版本", "text version"),
    "凭证": ("授权凭证", "证据", "proof"),
}
TICKETS: Synonyms = {
    "报修单号": ("工单号", "工单编号", "报修编号", "维修单号", "单号", "ticket no", "ticket"),
    "渠道": ("报修渠道", "来源", "报修来源", "工单来源", "channel"),
    "房源编号": CONTRACTS["房源编号"],
    "手机号": ("报修人电话", "报修人手机", "报修人手机号", *CONTRACTS["手机号"]),
    "报修类型": ("维修类型", "类型", "工单类型", "报修分类", "故障类型", "category"),
    "内容": ("报修内容", "问题描述", "描述", "故障描述", "报修描述", "text"),
    "报修时间": ("提交时间", "创建时间", "上报时间", "登记时间", "reported at"),
    "接单时间": ("受理时间", "派单时间", "响应时间", "accepted at"),
    "到场时间": ("上门时间", "到达时间", "arrived at"),
    "完成时间": ("完工时间", "维修完成时间", "结束时间", "finished at"),
    "维修人": ("维修员", "维修师傅", "维修工", "处理人", "接单人", "technician"),
    "评分": ("评价", "满意度", "评价分", "score"),
}
COMMUNITY: Synonyms = {
    "类型": ("类别", "记录类型", "kind"),
    "编号": ("记录编号", "序号", "no"),
    "社群号": CONTRACTS["社群号"],
    "时间": ("发生时间", "发布时间", "at"),
    "主题": ("活动主题", "标题", "topic"),
    "内容": ("正文", "text"),
    "楼栋编号": UNITS["楼栋编号"],
    "截止日期": ("截止日", "有效期至", "until"),
    "负责人": ("责任人", "owner"),
}
PAYMENTS: Synonyms = {
    "流水号": ("支付流水号", "收款单号", "交易号", "交易流水号", "收款编号", "单号", "payment no"),
    "合同编号": CONTRACTS["合同编号"],
    "项目": ("费用项目", "费用类型", "收款项目", "费项", "款项", "item"),
    "金额": ("实收金额", "收款金额", "支付金额", "已付金额", "amount"),
    "应付日": ("应收日期", "应付日期", "应缴日期", "账单日期", "due on"),
    "支付时间": ("收款时间", "到账时间", "支付日期", "收款日期", "付款时间", "paid at"),
}
BILLS: Synonyms = {
    "账单号": ("账单编号", "单号", "bill no"),
    "合同编号": CONTRACTS["合同编号"],
    "月份": ("账期", "账单月份", "所属月份", "month"),
    "金额": ("账单金额", "应收金额", "应付金额", "合计", "amount"),
    "出账时间": ("出账日期", "账单日期", "生成时间", "issued at"),
    "心情": ("表情", "评价", "mood"),
    "心情时间": ("评价时间", "mood at"),
}
STAFF: Synonyms = {
    "账号": ("用户名", "登录名", "工号", "username"),
    "姓名": ("员工姓名", "名字", "name"),
    "手机号": CONTRACTS["手机号"],
    "角色": ("岗位", "职位", "职务", "role"),
    "楼栋": ("所属楼栋", "负责楼栋", "楼栋编号", "所属门店", "buildings"),
    "技能": ("工种", "skills"),
    "班次": ("班时", "排班", "shift"),
    "企业微信账号": ("企业微信", "企微账号", "企微", "wecom", "userid"),
}
SYNONYMS: dict[str, Synonyms] = {
    "contracts": CONTRACTS, "units": UNITS, "rates": RATES, "consents": CONSENTS, "tickets": TICKETS,
    "community": COMMUNITY, "payments": PAYMENTS, "bills": BILLS, "staff": STAFF,
}  # fmt: skip

# A file may lack these; an empty cell says the same as a missing column. What then holds is said in docs/ingestion.md.
# Never optional: what would widen somebody's rights or a tenant's consent if it were missing (楼栋 of staff, 渠道).
OPTIONAL: dict[str, frozenset[str]] = {
    "contracts": frozenset(CONTRACTS)
    - {"合同编号", "房源编号", "租客姓名", "手机号", "起租日期", "到期日期", "月租金", "押金"},
    "units": frozenset({"楼栋名称", "地址", "物联网", "套", "门锁编号", "电表编号", "水表编号"}),
    "rates": frozenset({"免租月数"}),
    "consents": frozenset(),
    "tickets": frozenset(TICKETS) - {"报修单号", "报修类型", "报修时间"},
    "community": frozenset({"社群号", "主题", "内容", "楼栋编号", "截止日期", "负责人"}),
    "payments": frozenset(),
    "bills": frozenset({"心情", "心情时间"}),
    "staff": frozenset({"技能", "班次", "企业微信账号"}),
}
BRACKETS = re.compile(r"[(（\[【<].*?[)）\]】>]")
MARKS = re.compile(r"[\s\W_]+")


def names(source: str) -> tuple[str, ...]:
    """Our columns of the source, in our order; none where it has no table."""
    return tuple(SYNONYMS.get(source, ()))


def required(source: str) -> tuple[str, ...]:
    """Those of our columns that a file must have."""
    return tuple(name for name in names(source) if name not in OPTIONAL[source])


def guess(source: str, header: Sequence[str]) -> dict[str, str]:
    """Our columns → the file's that mean them, as far as its header says; no column of the file means two of ours."""
    there = _by_plain(header)
    found: dict[str, str] = {}
    used: set[str] = set()
    for ours, word in _RANKED[source]:
        theirs = there.get(word)
        if theirs is not None and theirs not in used and ours not in found:
            found[ours] = theirs
            used.add(theirs)
    return {ours: found[ours] for ours in names(source) if ours in found}


def chosen(source: str, mapping: Mapping[str, str], header: Sequence[str]) -> dict[str, str]:
    """Of a saved mapping what this header has; spaces and width of its words do not matter."""
    there = _by_plain(header)
    found = {ours: theirs if theirs in header else there.get(plain(theirs)) for ours, theirs in mapping.items()}
    return {ours: theirs for ours, theirs in found.items() if theirs and ours in SYNONYMS[source]}


def is_known(word: str) -> bool:
    """Whether the word names a column of any source."""
    return plain(word) in _KNOWN


def plain(word: str) -> str:
    """The word as it is compared: without width, case, spaces, marks."""
    return MARKS.sub("", unicodedata.normalize("NFKC", word)).lower()


def _by_plain(header: Iterable[str]) -> dict[str, str]:
    """The header's words by how they compare, whole before without what stands in brackets; the first of several."""
    found: dict[str, str] = {}
    words = [word for word in header if word]
    for word in words:
        found.setdefault(plain(word), word)
    for word in words:
        found.setdefault(plain(BRACKETS.sub("", word)), word)
    found.pop("", None)
    return found


def _ranked(source: str) -> list[tuple[str, str]]:
    """Our columns and the words for them: our own words first, then the likeliest of each before any less likely."""
    words = [
        (rank, ours, word) for ours, theirs in SYNONYMS[source].items() for rank, word in enumerate((ours, *theirs))
    ]
    return [(ours, plain(word)) for _rank, ours, word in sorted(words, key=lambda entry: entry[0])]


_RANKED = {source: _ranked(source) for source in SYNONYMS}
_KNOWN = {word for ranked in _RANKED.values() for _ours, word in ranked}
