// The editor of a segment's rule: each choice is sent at once, and what it means comes back. Without this script the
// buttons still work, one page for each.
(() => {
  const form = document.getElementById("rule-form");
  if (!form) return;
  const url = form.getAttribute("action");
  const inBuilder = (target) => target.closest && target.closest("#builder");
  const typed = () => [...form.querySelectorAll("#builder input[type=text], #builder input[type=date]")];
  const draft = () => document.getElementById("draft").textContent;

  // --- Every draft there was, to undo and redo -----------------------------------------------------------------
  const drafts = [draft()];
  let at = 0;
  const bar = document.getElementById("undo-bar");
  const undo = bar.querySelector("[data-undo]");
  const redo = bar.querySelector("[data-redo]");
  bar.hidden = false;
  const remember = () => {
    if (draft() !== drafts[at]) {
      drafts.splice(at + 1);
      drafts.push(draft());
      at = drafts.length - 1;
    }
    undo.disabled = at === 0;
    redo.disabled = at === drafts.length - 1;
  };

  // --- One request after the other -----------------------------------------------------------------------------
  let last = Promise.resolve();
  let waiting = 0;
  const ask = (act, more = {}) => {
    const region = act === "look" ? "#preview" : "#builder";
    const before = new Map(typed().map((input) => [input.name, input.value]));
    let later = [];
    // What is typed while the answer is on its way stays.
    const keep = (event) => {
      if (event.detail.target.id === "builder" && act !== "restore") {
        later = typed().filter((input) => before.has(input.name) && before.get(input.name) !== input.value);
      }
    };
    document.body.addEventListener("htmx:beforeSwap", keep);
    return htmx
      .ajax("POST", url, { source: form, target: region, select: region, swap: "outerHTML", values: { do: act, ...more } })
      .then(() => {
        for (const input of later) {
          const now = document.getElementById(input.name);
          if (now && now.value === before.get(input.name)) now.value = input.value;
        }
        if (later.length) send("look");
        if (act === "look") moveFault();
        remember();
      })
      .finally(() => document.body.removeEventListener("htmx:beforeSwap", keep));
  };
  const send = (act, more) => {
    if (act === "look" && waiting) return; // what is asked next brings everything along
    waiting += 1;
    last = last.then(() => {
      waiting -= 1;
      return ask(act, more);
    }, () => {
      waiting -= 1;
    });
  };

  // While one types only what it means is fetched, and what is wrong is put where it belongs.
  const moveFault = () => {
    for (const slot of form.querySelectorAll("#builder .fault")) {
      slot.textContent = "";
      slot.parentElement.classList.remove("is-wrong");
    }
    const fault = document.getElementById("fault");
    if (!fault) return;
    const slot = form.querySelector(`[data-fault="${CSS.escape(fault.dataset.at)}"]`);
    if (slot) {
      slot.textContent = fault.content.textContent;
      slot.parentElement.classList.add("is-wrong");
    }
  };

  let pause = 0;
  form.addEventListener("input", (event) => {
    if (!inBuilder(event.target) || event.target.type !== "text") return;
    clearTimeout(pause);
    pause = setTimeout(() => send("look"), 250);
  });
  form.addEventListener("change", (event) => {
    if (!inBuilder(event.target)) return;
    clearTimeout(pause);
    send(event.target.matches("[data-shapes]") ? "shape" : "look");
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=do]");
    if (!button || button.value === "save") return;
    event.preventDefault();
    clearTimeout(pause);
    send(button.value);
  });

  const step = (by) => {
    clearTimeout(pause);
    if (at + by < 0 || at + by >= drafts.length) return;
    at += by;
    send("restore", { draft: drafts[at] });
  };
  undo.addEventListener("click", () => step(-1));
  redo.addEventListener("click", () => step(1));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const field = event.target.closest("input[type=text]");
    if (field && !inBuilder(field)) return; // a name or a note has its own undo
    const key = event.key.toLowerCase();
    if (key === "z" || key === "y") {
      event.preventDefault();
      step(key === "y" || event.shiftKey ? 1 : -1);
    }
  });
  remember();
})();
