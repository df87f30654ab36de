// Looks every two seconds for what has arrived. Cards that did not change are left alone, so that focus, a
// selection and the scroll position stay where they are.
(() => {
  "use strict";
  const EVERY = 2000;
  const list = document.getElementById("messages");
  const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)");
  let last = "";

  function settle(fetched) {
    const time = fetched.getElementById("clock");
    const shown = document.getElementById("clock");
    if (!shown.isEqualNode(time)) shown.replaceWith(time);

    const cards = [...fetched.getElementById("messages").children];
    const stay = new Set(cards.map((card) => card.id));
    for (const old of [...list.children]) if (!stay.has(old.id)) old.remove();

    let next = list.firstElementChild;
    for (const card of cards) {
      if (next && next.id === card.id) {
        const kept = next;
        next = next.nextElementSibling;
        if (!kept.isEqualNode(card)) replace(kept, card);
      } else {
        document.getElementById(card.id)?.remove();
        list.insertBefore(card, next);
        arrive(card);
      }
    }
  }

  function replace(old, card) {
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(card);
    if (hadFocus) card.querySelector("a")?.focus({ preventScroll: true });
  }

  function arrive(card) {
    if (isCalm.matches) return;
    const from = { opacity: 0, transform: "translateY(-12px)" };
    card.animate([from, { opacity: 1, transform: "none" }], { duration: 220, easing: "ease-out" });
  }

  async function look() {
    try {
      const answer = await fetch("?fragment=1", { cache: "no-store" });
      if (answer.ok && !answer.redirected) {
        const text = await answer.text();
        if (text !== last) settle(new DOMParser().parseFromString(text, "text/html"));
        last = text;
      }
    } catch {
      // The server is away; what is shown stays, and the next look may find it back.
    }
    setTimeout(look, EVERY);
  }

  setTimeout(look, EVERY);
})();
