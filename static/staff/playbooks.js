// Playbooks: what was typed is not lost by leaving the page, and a choice is shown at once. All of it works without.
(() => {
  for (const form of document.querySelectorAll("form[data-guard]")) {
    let isDirty = form.hasAttribute("data-dirty");
    let isSending = false;
    const touch = () => {
      isDirty = true;
    };
    form.addEventListener("input", touch);
    form.addEventListener("change", touch);
    form.addEventListener("submit", () => {
      isSending = true;
    });
    window.addEventListener("pageshow", () => {
      isSending = false;
    });
    window.addEventListener("beforeunload", (event) => {
      if (isDirty && !isSending) event.preventDefault();
    });
    const look = form.querySelector("[data-look]");
    if (look)
      form.addEventListener("change", (event) => {
        if (event.target.matches("[data-shapes]")) form.requestSubmit(look);
      });
  }

  for (const select of document.querySelectorAll("[data-submits]")) {
    const button = select.form.querySelector("[data-submit]");
    if (button) button.hidden = true;
    select.addEventListener("change", () => select.form.requestSubmit());
  }
})();
