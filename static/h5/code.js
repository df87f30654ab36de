// The code: digits only, whatever is pasted; another code after a visible count-down.
(function () {
  "use strict";
  var code = document.getElementById("code");
  code.addEventListener("input", function () {
    var digits = code.value.replace(/[０-９]/g, function (digit) {
      return String.fromCharCode(digit.charCodeAt(0) - 0xfee0);
    }).replace(/\D/g, "").slice(0, 6);
    if (digits !== code.value) code.value = digits;
  });
  // A pasted "【蓝寓】123456 …" is longer than the field: take its digits before the field cuts it.
  code.addEventListener("paste", function (event) {
    var text = event.clipboardData ? event.clipboardData.getData("text") : "";
    var found = /(?:^|\D)(\d{6})(?:\D|$)/.exec(text);
    if (!found) return;
    event.preventDefault();
    code.value = found[1];
  });

  var again = document.querySelector("[data-wait]");
  var until = Date.now() + Number(again.dataset.wait) * 1000;
  function tick() {
    var left = Math.ceil((until - Date.now()) / 1000);
    again.disabled = left > 0;
    again.textContent = left > 0 ? again.dataset.waiting.replace("{s}", left) : again.dataset.ready;
    if (left > 0) setTimeout(tick, 250);
  }
  tick();
})();
