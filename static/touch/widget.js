// A touchpoint's card on somebody else's page: one file, one shadow root, no global, no cookie, nobody else's address.
// The page says where it stands and in which building; both are optional (docs/touchpoints.md):
//   <div data-touchpoint="CODE" data-at="BUILDING" data-link="A TICKET'S ADDRESS" data-theme="dark"></div>
//   <script src="https://HOST/t/CODE/widget.js" async></script>
(function (card) {
  "use strict";
  var script = document.currentScript || document.querySelector('script[src*="/t/' + card.code + '/widget.js"]');
  if (!script || !script.src || !card.shown || !Element.prototype.attachShadow) return;
  var host = new URL(script.src).origin;
  var chosen = '[data-touchpoint="' + card.code + '"]';

  function make(name, facts, children) {
    var element = document.createElement(name);
    Object.keys(facts).forEach(function (key) {
      element.setAttribute(key, facts[key]);
    });
    children.forEach(function (child) {
      element.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
    });
    return element;
  }

  function said(place, name) {
    return place.getAttribute("data-" + name) || script.getAttribute("data-" + name) || "";
  }

  // Only a way into our own letters is followed, whatever the page was made to say.
  function address(place, query) {
    var own = said(place, "link");
    if (own.indexOf(host + "/r/once/") === 0) return own;
    return host + "/r/?from=" + card.code + query;
  }

  function dress(root) {
    try {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(card.css);
      root.adoptedStyleSheets = [sheet];
    } catch (_older) {
      root.appendChild(make("style", {}, [card.css]));
    }
  }

  function mount(place) {
    if (place.shadowRoot) return;
    var at = said(place, "at");
    if (card.only && at && card.only.indexOf(at) < 0) return;
    var query = at ? "&at=" + encodeURIComponent(at) : "";
    var root = place.attachShadow({ mode: "open" });
    dress(root);
    var link = make(
      "a",
      { href: address(place, query), target: "_blank", rel: "noopener noreferrer" },
      [
        make("span", { class: "words" }, [
          make("strong", {}, [card.title]),
          make("span", { class: "line" }, [card.line]),
        ]),
        make("span", { class: "action" }, [card.action]),
      ]
    );
    var theme = said(place, "theme") === "dark" ? "dark" : "light";
    root.appendChild(make("aside", { class: theme, lang: card.lang, "aria-label": card.operator }, [link]));
    seen(place, function () {
      if (navigator.sendBeacon) navigator.sendBeacon(host + "/t/" + card.code + "/shown?" + query.slice(1));
    });
  }

  function seen(place, then) {
    if (!window.IntersectionObserver) return;
    var watch = new IntersectionObserver(
      function (entries) {
        if (!entries[entries.length - 1].isIntersecting) return;
        watch.disconnect();
        then();
      },
      { threshold: 0.5 }
    );
    watch.observe(place);
  }

  function start() {
    var places = document.querySelectorAll(chosen);
    if (!places.length) {
      var place = make("div", { "data-touchpoint": card.code }, []);
      if (document.body.contains(script)) script.parentNode.insertBefore(place, script.nextSibling);
      else document.body.appendChild(place);
      places = [place];
    }
    Array.prototype.forEach.call(places, mount);
  }

  if (document.body && (document.readyState !== "loading" || document.body.contains(script))) start();
  else document.addEventListener("DOMContentLoaded", start);
})(__CARD__);
