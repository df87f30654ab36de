// Handing in a file: what is easier with a pointer. Every page works without this.
(() => {
  // A file dropped anywhere on the field is chosen.
  for (const field of document.querySelectorAll("[data-drop]")) {
    const input = field.querySelector("input[type=file]");
    field.querySelector(".drop__hint").hidden = false;
    // The browser's own words are in the browser's language, which may not be the page's.
    const choose = document.createElement("label");
    choose.className = "drop__choose button button--quiet";
    choose.htmlFor = input.id;
    choose.textContent = input.dataset.choose;
    const chosen = document.createElement("span");
    chosen.className = "drop__chosen";
    chosen.setAttribute("aria-live", "polite");
    const name = () => {
      chosen.textContent = input.files.length ? input.files[0].name : input.dataset.none;
      chosen.classList.toggle("quiet", !input.files.length);
    };
    input.classList.add("drop__input");
    input.after(choose, chosen);
    input.addEventListener("change", name);
    name();
    const over = (event) => {
      event.preventDefault();
      field.classList.add("is-over");
    };
    field.addEventListener("dragenter", over);
    field.addEventListener("dragover", over);
    field.addEventListener("dragleave", (event) => {
      if (!field.contains(event.relatedTarget)) field.classList.remove("is-over");
    });
    field.addEventListener("drop", (event) => {
      event.preventDefault();
      field.classList.remove("is-over");
      if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
      name();
    });
  }

  for (const select of document.querySelectorAll("[data-submit]")) {
    select.addEventListener("change", () => select.form.submit());
  }

  // The samples beside a column are those of the column chosen.
  const held = document.getElementById("samples");
  const samples = held ? JSON.parse(held.textContent) : {};
  for (const select of document.querySelectorAll("[data-samples]")) {
    select.addEventListener("change", () => {
      const values = (samples[select.value] || []).map((text) => {
        const span = document.createElement("span");
        span.textContent = text.length > 24 ? `${text.slice(0, 23)}…` : text;
        return span;
      });
      document.getElementById(`samples-${select.dataset.samples}`).replaceChildren(...values);
      select.closest("tr").classList.toggle("is-missing", select.hasAttribute("aria-required") && !select.value);
    });
  }

  // One box for all rows of the page.
  const all = document.querySelector("[data-tick-page]");
  if (all) {
    const boxes = [...document.querySelectorAll("input[name=row]")];
    const figure = document.querySelector("[data-chosen]");
    const elsewhere = Number(figure.textContent.replace(/\D/g, "")) - boxes.filter((box) => box.checked).length;
    const look = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      figure.textContent = elsewhere + ticked;
      figure.closest("button").disabled = elsewhere + ticked === 0;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
      for (const box of boxes) box.closest("tr").classList.toggle("is-left-out", !box.checked);
    };
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      look();
    });
    for (const box of boxes) box.addEventListener("change", look);
    look();
  }

  // Work of some seconds says so, and how long it has been at it; a second press does nothing.
  for (const form of document.querySelectorAll("[data-busy]")) {
    form.addEventListener("submit", (event) => {
      if (form.classList.contains("is-busy")) {
        event.preventDefault();
        return;
      }
      form.classList.add("is-busy");
      const button = event.submitter;
      if (form.querySelector("[data-apply]") && !(button && button.hasAttribute("data-apply"))) return;
      const words = document.createElement("p");
      words.className = "busy";
      words.setAttribute("role", "status");
      const text = document.createElement("span");
      const seconds = document.createElement("span");
      text.textContent = form.dataset.busy;
      words.append(text, seconds);
      form.append(words);
      const began = Date.now();
      setInterval(() => {
        seconds.textContent = ` ${Math.round((Date.now() - began) / 1000)} s`;
      }, 1000);
    });
  }
  // Back from another page: the form can be used again.
  window.addEventListener("pageshow", () => {
    for (const input of document.querySelectorAll("[data-drop] input[type=file]")) input.dispatchEvent(new Event("change"));
    for (const form of document.querySelectorAll(".is-busy")) form.classList.remove("is-busy");
    for (const words of document.querySelectorAll(".busy")) words.remove();
  });
})();
