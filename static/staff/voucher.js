// Scanning with the camera, where the browser can read QR codes by itself; everywhere else it says so, and the field does.
(async () => {
  const field = document.getElementById("code");
  const offer = document.querySelector("[data-scan]");
  if (!field || !offer) return;
  const kinds =
    "BarcodeDetector" in window && navigator.mediaDevices
      ? await window.BarcodeDetector.getSupportedFormats().catch(() => [])
      : [];
  if (!kinds.includes("qr_code")) {
    document.querySelector("[data-scan-none]").hidden = false;
    return;
  }
  const picture = document.querySelector("[data-scan-picture]");
  const fault = document.querySelector("[data-scan-fault]");
  const button = offer.querySelector("[data-scan-start]");
  offer.hidden = false;
  let stream = null;

  const stop = () => {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    picture.hidden = true;
  };

  const look = async (detector) => {
    if (!stream) return;
    const found = await detector.detect(picture).catch(() => []);
    if (found.length) {
      field.value = found[0].rawValue;
      stop();
      field.form.requestSubmit();
      return;
    }
    setTimeout(() => look(detector), 200);
  };

  button.addEventListener("click", async () => {
    if (stream) return stop();
    fault.hidden = true;
    try {
      const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      picture.srcObject = stream;
      picture.hidden = false;
      await picture.play();
      look(detector);
    } catch {
      stop();
      fault.hidden = false;
    }
  });
  window.addEventListener("pagehide", stop);
})();
