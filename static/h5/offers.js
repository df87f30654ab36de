// The sliders ask the server for every price; nothing is computed here. What may be chosen together comes
// with the page, so that a slider never stops where nothing is published.
(function () {
  "use strict";
  var form = document.querySelector(".offer");
  if (!form) return;
  var published = JSON.parse(document.getElementById("published").textContent);
  var error = form.querySelector("[data-error]");
  var asked = 0;
  var timer = 0;

  function field(name) {
    return form.elements[name];
  }

  function room() {
    var tab = form.querySelector("[name=tab]:checked");
    var unit = form.querySelector("[name=unit]:checked");
    return tab && tab.value === "move" && unit ? unit.value : "";
  }

  function numbers(object) {
    return Object.keys(object).map(Number).sort(function (a, b) { return a - b; });
  }

  function nearest(values, wanted) {
    return values.reduce(function (best, value) {
      return Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best;
    });
  }

  function allowed(name) {
    var terms = published.rooms[room()];
    if (name === "term") return numbers(terms);
    return terms[nearest(numbers(terms), Number(field("term").value))] || [0];
  }

  // Puts a slider on the nearest published value and paints how far it has come.
  function settle(name, wanted) {
    var range = field(name);
    if (!range || range.type !== "range") return;
    var values = allowed(name);
    range.min = values[0];
    range.max = values[values.length - 1];
    range.value = nearest(values, wanted === undefined ? Number(range.value) : wanted);
    var span = range.max - range.min;
    var share = span ? (range.value - range.min) / span : 0; // of one value alone the thumb stands at the start
    // The thumb's middle runs from 14 px to 14 px before the end.
    range.style.setProperty("--done", "calc(14px + (100% - 28px) * " + share + ")");
    range.disabled = values.length < 2 && name !== "term";
    dot(range, values);
    var row = range.closest(".dial");
    row.querySelector('[data-step="-1"]').disabled = Number(range.value) === values[0];
    row.querySelector('[data-step="1"]').disabled = Number(range.value) === values[values.length - 1];
  }

  // A dot under the track for each published value; for a handful of them.
  function dot(range, values) {
    var key = values.join();
    if (range.dataset.dots === key) return;
    range.dataset.dots = key;
    range.parentNode.querySelectorAll(".stop").forEach(function (old) { old.remove(); });
    if (values.length < 2 || values.length > 13) return;
    values.forEach(function (value) {
      var stop = document.createElement("span");
      var share = (value - range.min) / (range.max - range.min);
      stop.className = "stop";
      stop.style.left = "calc(14px + (100% - 28px) * " + share + ")";
      range.parentNode.appendChild(stop);
    });
  }

  // A perk that asks for a longer term cannot be chosen with a shorter one.
  function settlePerks() {
    var term = Number(field("term").value);
    var lost = false;
    form.querySelectorAll("[name=perk]").forEach(function (perk) {
      perk.disabled = Boolean(perk.value) && published.perks[perk.value] > term;
      if (perk.disabled && perk.checked) lost = true;
    });
    if (lost) form.querySelector('[name=perk][value=""]').checked = true;
  }

  function say(message) {
    error.textContent = message;
    error.hidden = !message;
  }

  function show(answer) {
    Object.keys(answer.words).forEach(function (key) {
      form.querySelectorAll('[data-word="' + key + '"]').forEach(function (place) {
        if (place.textContent !== answer.words[key]) place.textContent = answer.words[key];
      });
    });
    ["term", "free"].forEach(function (name) {
      var range = field(name);
      if (range && range.type === "range") {
        range.setAttribute("aria-valuetext", answer.words[name === "term" ? "term" : "free_months"]);
      }
    });
    list("[data-lines]", answer.calculation);
    list("[data-others]", answer.others);
    early(answer.early);
    form.querySelector(".others").hidden = !answer.others.length;
  }

  // Moving earlier: the server says which days there are, and what the chosen one costs.
  function early(answer) {
    var part = form.querySelector("[data-early]");
    part.hidden = !answer;
    var day = field("move_on");
    if (!answer) {
      day.value = ""; // what cannot be seen must not keep the form from being sent
      return;
    }
    day.min = answer.first;
    day.max = answer.last;
    if (day.value !== answer.day && document.activeElement !== day) day.value = answer.day;
    part.querySelector("[data-early-words]").textContent = answer.words;
    list("[data-early-lines]", answer.lines);
  }

  function list(place, lines) {
    var whole = form.querySelector(place);
    whole.textContent = "";
    lines.forEach(function (line) {
      var row = document.createElement("div");
      var term = document.createElement("dt");
      var sum = document.createElement("dd");
      if (line.code) row.dataset.code = line.code;
      term.textContent = line.label + " ";
      if (line.times) {
        var times = document.createElement("small");
        times.textContent = line.times;
        term.appendChild(times);
      }
      sum.textContent = line.amount;
      row.append(term, sum);
      whole.appendChild(row);
    });
  }

  function ask() {
    var number = ++asked;
    form.classList.add("waiting");
    var body = new URLSearchParams(new FormData(form));
    // A disabled slider is not in the form, but its value still counts.
    ["term", "free"].forEach(function (name) {
      if (field(name) && !body.has(name)) body.set(name, field(name).value);
    });
    fetch(form.dataset.quote, {
      method: "POST",
      headers: { Accept: "application/json", "X-CSRFToken": field("csrfmiddlewaretoken").value },
      body: body,
      credentials: "same-origin",
    })
      .then(function (response) {
        if (response.status === 422) {
          return response.json().then(function (answer) {
            if (number === asked) say(answer.error);
          });
        }
        if (!response.ok || response.redirected) {
          window.location.reload(); // the letter was closed meanwhile: let the page say so
          return undefined;
        }
        return response.json().then(function (answer) {
          if (number !== asked) return; // a later question is on its way
          say("");
          show(answer);
        });
      })
      .catch(function () {
        if (number === asked) say(error.dataset.offline);
      })
      .then(function () {
        if (number === asked) form.classList.remove("waiting");
      });
  }

  function changed() {
    settle("term");
    settle("free");
    settlePerks();
    clearTimeout(timer);
    timer = setTimeout(ask, 60);
  }

  function step(name, by) {
    var values = allowed(name);
    var place = values.indexOf(Number(field(name).value)) + by;
    if (place < 0 || place >= values.length) return;
    settle(name, values[place]);
    changed();
  }

  form.querySelectorAll(".step").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      step(button.getAttribute("aria-controls"), Number(button.dataset.step));
    });
  });

  // Keys go from one published value to the next, too, however far apart they are.
  form.addEventListener("keydown", function (event) {
    var by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!by || event.target.type !== "range") return;
    event.preventDefault();
    step(event.target.name, by);
  });

  form.addEventListener("input", changed);
  window.addEventListener("online", function () {
    if (!error.hidden) ask();
  });
  settle("term");
  settle("free");
  settlePerks();
})();
