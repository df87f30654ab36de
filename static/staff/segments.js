// The editor of a segment's rule: each choice is sent at once, and what it means comes back. Without this script the
// buttons still work, one page for each.
(() => {
  const form = document.getElementById("rule-form");
  if (!form) return;
  const url = form.getAttribute("action");
  const inBuilder = (target) => target.closest && target.closest("#builder");
  const controls = () => [...form.querySelectorAll("#builder :is(input:not([type=hidden]), select)")];
  const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value);
  const draft = () => document.getElementById("draft").textContent;

  // --- Every draft there was, to undo and redo -----------------------------------------------------------------
  const drafts = [draft()];
  let at = 0;
  const bar = document.getElementById("undo-bar");
  const undo = bar.querySelector("[data-undo]");
  const redo = bar.querySelector("[data-redo]");
  bar.hidden = false;
  const showSteps = () => {
    undo.disabled = at === 0;
    redo.disabled = at === drafts.length - 1;
  };
  const remember = () => {
    if (draft() === drafts[at]) return;
    drafts.splice(at + 1);
    drafts.push(draft());
    at = drafts.length - 1;
  };

  // --- What is not saved yet is not lost by leaving, nor by saving where nobody answers -----------------------
  const built = () => {
    const fields = [...new FormData(form)].filter(([name]) => !["csrfmiddlewaretoken", "seen"].includes(name));
    return JSON.stringify(fields);
  };
  // A page is typed into before its scripts are there, and comes back with what was typed.
  const isTyped = controls().some((control) => control.type === "text" && control.value !== control.defaultValue);
  const saved = isTyped || "unsaved" in form.dataset ? "" : built();
  const notReached = document.getElementById("not-reached");
  let isLeaving = false;
  window.addEventListener("beforeunload", (event) => {
    if (!isLeaving && built() !== saved) event.preventDefault();
  });
  const say = (missing) => {
    notReached.hidden = !missing;
    if (missing) notReached.scrollIntoView({ block: "nearest" });
  };
  form.addEventListener("submit", (event) => {
    if (isLeaving) return;
    event.preventDefault();
    // Only where the editor itself answers is the page given up for the answer.
    fetch(url, { method: "HEAD", redirect: "manual" })
      .then((answer) => answer.ok, () => false)
      .then((isThere) => {
        say(!isThere);
        if (!isThere) return;
        isLeaving = true;
        form.requestSubmit(event.submitter);
      });
  });
  for (const failed of ["htmx:sendError", "htmx:responseError"]) form.addEventListener(failed, () => say(true));

  // --- One request after the other -----------------------------------------------------------------------------
  let last = Promise.resolve();
  let waiting = 0;
  const ask = (act, more = {}) => {
    const region = act === "look" ? "#preview" : "#builder";
    const before = new Map(controls().map((control) => [control.id, valueOf(control)]));
    const isBuilder = (event) => event.detail.target.id === "builder";
    let later = [];
    let marked = null;
    // What is typed or chosen while the answer is on its way stays, and so does what is marked to be typed over:
    // htmx brings a mark back only where it does not begin at the first letter.
    const keep = (event) => {
      if (!isBuilder(event)) return;
      later = controls().filter((each) => before.has(each.id) && before.get(each.id) !== valueOf(each));
      const field = document.activeElement;
      marked = field.type === "text" ? [field.id, field.selectionStart, field.selectionEnd] : null;
    };
    const bringBack = (event) => {
      if (!isBuilder(event)) return;
      for (const old of later) {
        const now = document.getElementById(old.id);
        if (!now || valueOf(now) !== before.get(old.id)) continue;
        if (now.type === "checkbox") now.checked = old.checked;
        else now.value = old.value;
      }
      const [id, start, end] = marked || [];
      if (id && document.activeElement.id === id) document.activeElement.setSelectionRange(start, end);
    };
    document.body.addEventListener("htmx:beforeSwap", keep);
    document.body.addEventListener("htmx:afterSwap", bringBack);
    return htmx
      .ajax("POST", url, { source: form, target: region, select: region, swap: "outerHTML", values: { do: act, ...more } })
      .then(() => {
        if (act === "look") moveFault();
        if (act !== "restore") remember();
        showSteps();
      })
      .finally(() => {
        document.body.removeEventListener("htmx:beforeSwap", keep);
        document.body.removeEventListener("htmx:afterSwap", bringBack);
      });
  };
  const queue = (task) => {
    waiting += 1;
    const next = () => {
      waiting -= 1;
      return task();
    };
    last = last.then(next, next);
  };
  const send = (act) => {
    if (act === "look" && waiting) return; // what waits will bring everything along
    queue(() => ask(act));
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
    queue(() => {
      if (at + by < 0 || at + by >= drafts.length) return undefined;
      at += by;
      return ask("restore", { draft: drafts[at] });
    });
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
  showSteps();
  if (isTyped) send("look");
})();
