// The staff site's own few lines: the theme of the shared tokens follows django-unfold's, and the keyboard.
(() => {
  const root = document.documentElement;
  const follow = () => {
    root.dataset.theme = root.classList.contains("dark") ? "dark" : "light";
  };
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["class"] });
  follow();

  // A browser gives an autofocus up where the page before still had something in focus, and takes none while a
  // style sheet is on its way.
  const focusWanted = () => {
    const wanted = document.querySelector("[autofocus]");
    if (wanted && document.activeElement === document.body) wanted.focus();
  };
  focusWanted();
  addEventListener("load", focusWanted);

  const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("[data-row]")];
  let at = -1;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search], #searchbar");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else if (event.key === "j" || event.key === "k") {
      const all = rows();
      if (!all.length) return;
      at = Math.min(all.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)));
      const link = all[at].querySelector("a");
      if (link) link.focus();
      all[at].scrollIntoView({ block: "nearest" });
    } else if (event.key === "?") {
      document.querySelector("[data-help]:not([open])")?.showModal();
    }
  });
})();
