"""e签宝 V3: it checks the signature of each call over its bytes, the MD5 of what is uploaded, and the order of a flow.

A test signs in its person's stead (`sign`, `refuse`, `expire`) and takes the callbacks that the provider would send
(`callbacks`), with the headers it would sign them with; how often and when they arrive is the test's to decide.

    python -m tests.standins.esign PORT
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from itertools import count
from typing import Any

from tests.standins.base import Asked, Said, Standin, main, said

APP_ID, SECRET = "7438000001", "standin-esign-secret"
KIND = "application/json; charset=UTF-8"


class Esign(Standin):
    """Signs nothing by itself."""

    name = "esign"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.slow_files = 0  # so many looks until an uploaded file is ready
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.numbers = count(1)
        self.files: dict[str, dict[str, Any]] = {}
        self.flows: dict[str, dict[str, Any]] = {}
        self.callbacks: list[tuple[dict[str, str], bytes]] = []

    def answer(self, asked: Asked) -> Said:
        if asked.method == "PUT" and asked.path.startswith("/oss/"):
            return self._put(asked)
        if problem := self._refused(asked):
            self.counts.refused[problem] += 1
            return said({"code": 401, "message": problem, "success": False}, 401)
        if code := self.refusing(asked):
            return said({"code": int(code), "message": "系统繁忙", "data": None})
        match asked.method, asked.path.split("/")[2:]:
            case "POST", ["files", "file-upload-url"]:
                return self._offer(asked.json())
            case "GET", ["files", file]:
                return self._file(file)
            case "POST", ["sign-flow", "create-by-file"]:
                return self._create(asked.json())
            case "POST", ["sign-flow", flow, "sign-url"]:
                return self._door(flow, asked.json())
            case "POST", ["sign-flow", flow, "revoke"]:
                return self._revoke(flow)
            case "GET", ["sign-flow", flow, "detail"]:
                self.counts.found[flow] += 1
                return _ok({"signFlowStatus": self.flows[flow]["status"]}) if flow in self.flows else _no(1435203)
        return said({"code": 404, "message": "no such interface"}, 404)

    # --- What people do at the provider ---

    def sign(self, flow: str, phone: str) -> None:
        """The signer with this phone signs on the provider's page."""
        held = self.flows[flow]
        assert held["status"] == 1
        assert phone in held["phones"]
        held["signed"].add(phone)
        self._say("SIGN_MISSON_COMPLETE", flow, operateTime=_now(), signResult=2)
        if held["signed"] == set(held["phones"]):
            self._end(flow, 2, "完成")

    def refuse(self, flow: str) -> None:
        self._end(flow, 7, "已拒签")

    def expire(self, flow: str) -> None:
        self._end(flow, 5, "已过期")

    def _end(self, flow: str, status: int, words: str) -> None:
        assert self.flows[flow]["status"] == 1
        self.flows[flow]["status"] = status
        self._say(
            "SIGN_FLOW_COMPLETE", flow, signFlowTitle="续租协议", signFlowStatus=str(status), statusDescription=words,
            signFlowCreateTime=_now(), signFlowStartTime=_now(), signFlowFinishTime=_now(),
        )  # fmt: skip

    def _say(self, action: str, flow: str, **more: Any) -> None:
        body = json.dumps({"action": action, "timestamp": _now(), "signFlowId": flow, **more}, ensure_ascii=False)
        self.callbacks.append((signed(body.encode()), body.encode()))

    # --- The interfaces ---

    def _refused(self, asked: Asked) -> str:
        headers = asked.headers
        if headers.get("x-tsign-open-app-id") != APP_ID:
            return "无效的应用"
        if headers.get("x-tsign-open-auth-mode") != "Signature":
            return "TOKEN_CANT_BE_NULL"
        if abs(int(headers.get("x-tsign-open-ca-timestamp", "0")) - _now()) > 900_000:
            return "TIMESTAMP_EXPIRED"
        md5 = base64.b64encode(hashlib.md5(asked.body).digest()).decode() if asked.body else ""
        if headers.get("content-md5", "") != md5 or headers.get("content-type") != KIND:
            return "INVALID_CONTENT_MD5"
        text = "\n".join([asked.method, headers.get("accept", ""), md5, KIND, "", asked.target])
        due = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()).decode()
        return "" if hmac.compare_digest(headers.get("x-tsign-open-ca-signature", ""), due) else "INVALID_SIGNATURE"

    def _offer(self, wanted: dict[str, Any]) -> Said:
        if wanted.get("contentType") != "application/pdf" or not wanted.get("fileName", "").endswith(".pdf"):
            return _no(1435002)
        file = f"file{next(self.numbers)}"
        self.files[file] = {"md5": wanted["contentMd5"], "size": wanted["fileSize"], "looks": self.slow_files}
        return _ok({"fileId": file, "fileUploadUrl": f"{self.url}/oss/{file}?Expires=1"})

    def _put(self, asked: Asked) -> Said:
        file = self.files.get(asked.path.removeprefix("/oss/"))
        md5 = base64.b64encode(hashlib.md5(asked.body).digest()).decode()
        if (
            file is None
            or not md5 == file["md5"] == asked.headers.get("content-md5")
            or len(asked.body) != file["size"]
        ):
            return said({"errCode": 1, "msg": "InvalidDigest"}, 400)
        file["pdf"] = asked.body
        return said({"errCode": 0, "msg": "成功"})

    def _file(self, name: str) -> Said:
        file = self.files.get(name)
        if file is None:
            return _no(1435203)
        file["looks"] -= 1
        return _ok({"fileId": name, "fileStatus": 2 if "pdf" in file and file["looks"] < 0 else 1})

    def _create(self, wanted: dict[str, Any]) -> Said:
        file, settings = wanted["docs"][0]["fileId"], wanted["signFlowConfig"]
        if file not in self.files or "pdf" not in self.files[file] or self.files[file]["looks"] >= 0:
            return _no(1437513)
        people = [each["psnSignerInfo"] for each in wanted["signers"]]
        fields = [field["fileId"] for each in wanted["signers"] for field in each["signFields"]]
        if not people or set(fields) != {file} or not settings["signFlowTitle"]:
            return _no(1435002)
        if not _now() < settings["signFlowExpireTime"] <= _now() + 90 * 86_400_000:
            return _no(1435002)
        flow = f"flow{next(self.numbers)}"
        self.flows[flow] = {
            "status": 1, "signed": set(), "phones": [each["psnAccount"] for each in people], "file": file,
            "names": [each["psnInfo"]["psnName"] for each in people], "settings": settings,
        }  # fmt: skip
        self.took(flow)
        return _ok({"signFlowId": flow})

    def _door(self, flow: str, wanted: dict[str, Any]) -> Said:
        phone = wanted["operator"]["psnAccount"]
        if flow not in self.flows or phone not in self.flows[flow]["phones"]:
            return _no(1435203)
        if self.flows[flow]["status"] != 1:
            return _no(1437515)
        where = f"{self.url}/sign?flow={flow}&who={self.flows[flow]['phones'].index(phone)}"
        return _ok({"shortUrl": where, "url": where})

    def _revoke(self, flow: str) -> Said:
        if flow not in self.flows or self.flows[flow]["status"] != 1:
            return _no(1437515)
        self.flows[flow]["status"] = 3
        return _ok(None)


def signed(body: bytes, *, query: str = "", stamp: int | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers the provider sends with a callback."""
    at = str(_now() if stamp is None else stamp)
    digest = hmac.new(secret.encode(), (at + query).encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Tsign-Open-TIMESTAMP": at,
        "X-Tsign-Open-SIGNATURE-ALGORITHM": "hmac-sha256",
        "X-Tsign-Open-App-Id": APP_ID,
        "X-Tsign-Open-SIGNATURE": digest,
    }


def _now() -> int:
    return int(time.time() * 1000)


def _ok(data: Any) -> Said:
    return said({"code": 0, "message": "成功", "data": data})


def _no(code: int) -> Said:
    return said({"code": code, "message": "失败", "data": None})


if __name__ == "__main__":
    main(Esign())
