// A cover is opened by a person when a real pointer or key did it: scripts cannot forge isTrusted.
// Without this script the letter opens all the same, and counts as unproven.
(function () {
  "use strict";
  var form = document.querySelector(".cover-open");
  if (!form) return;
  var gesture = form.elements.gesture;
  function touched(event) {
    if (event.isTrusted) gesture.value = "1";
  }
  ["pointerdown", "touchstart", "keydown"].forEach(function (kind) {
    form.querySelector("button").addEventListener(kind, touched, { passive: true });
  });
  form.addEventListener("submit", function () {
    document.querySelector(".cover").classList.add("opening");
  });
  // Coming back with the back button: the light is out again.
  window.addEventListener("pageshow", function () {
    document.querySelector(".cover").classList.remove("opening");
  });
})();
