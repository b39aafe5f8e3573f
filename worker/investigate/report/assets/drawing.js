// The drawing of a pair: what a pointer or the keyboard adds. Without it every card is a link to its revision below.
(() => {
  "use strict";
  const card = (anchor) => document.querySelector(`[data-step="${CSS.escape(anchor)}"]`);
  const effects = (anchor) => [...document.querySelectorAll(`[data-cause="${CSS.escape(anchor)}"]`)];
  let opener = null;

  // A card under the pointer or in focus: its own lines, and the cards at their other ends.
  function highlight(chosen) {
    for (const each of document.querySelectorAll(".card.on, .track.on")) each.classList.remove("on");
    if (!chosen) return;
    const drawing = chosen.closest("[data-drawing]");
    const ends = [chosen.dataset.cause && card(chosen.dataset.cause), ...effects(chosen.dataset.step)].filter(Boolean);
    const own = new Set((chosen.dataset.lines || "").split(" ").filter(Boolean));
    const theirs = new Set(ends.flatMap((end) => (end.dataset.lines || "").split(" ").filter((line) => own.has(line))));
    for (const end of ends) end.classList.add("on");
    for (const line of drawing.querySelectorAll(".track")) if (theirs.has(line.dataset.line)) line.classList.add("on");
  }

  function close() {
    const drawer = document.querySelector(".drawer");
    if (!drawer) return;
    drawer.remove();
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  }

  function open(chosen) {
    const revision = document.getElementById(chosen.dataset.step);
    if (!revision) return;
    close();
    opener = chosen;
    const drawer = document.createElement("aside");
    drawer.className = "drawer";
    drawer.setAttribute("role", "dialog");
    drawer.setAttribute("aria-label", revision.querySelector("h4").textContent);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Close";
    button.addEventListener("click", close);
    drawer.append(button);
    for (const child of revision.cloneNode(true).children) {
      child.removeAttribute("id");
      drawer.append(child.cloneNode(true));
    }
    document.body.append(drawer);
    button.focus();
  }

  function neighbour(chosen, key) {
    const all = [...chosen.closest("[data-drawing]").querySelectorAll(".card")];
    const at = all.indexOf(chosen);
    switch (key) {
      case "ArrowDown": return all[at + 1];
      case "ArrowUp": return all[at - 1];
      case "Home": return all[0];
      case "End": return all[all.length - 1];
      case "ArrowLeft": case "ArrowRight": {
        const isLeft = chosen.parentElement.classList.contains("conversation");
        if (isLeft === (key === "ArrowLeft")) return null;
        return (chosen.dataset.cause && card(chosen.dataset.cause)) || effects(chosen.dataset.step)[0];
      }
      default: return null;
    }
  }

  const chosen = (event) => event.target instanceof Element ? event.target.closest("[data-drawing] .card") : null;
  document.addEventListener("pointerover", (event) => highlight(chosen(event) || document.activeElement?.closest(".card")));
  document.addEventListener("focusin", (event) => highlight(chosen(event)));
  document.addEventListener("click", (event) => {
    const clicked = chosen(event);
    if (!clicked || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(clicked);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); return; }
    const from = chosen(event);
    const to = from && !event.ctrlKey && !event.metaKey && !event.altKey && neighbour(from, event.key);
    if (!to) return;
    event.preventDefault();
    to.focus();
  });
})();
