// Keys of the inbox and the card. None decides: each moves the focus, or opens the form that asks once more.
(() => {
  "use strict";
  const typing = (element) =>
    element instanceof HTMLElement &&
    (element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName));
  const links = () => [...document.querySelectorAll("[data-request] > a")];
  const move = (step) => {
    const all = links();
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    all[next].focus();
    return true;
  };
  const open = (verdict) => {
    const panel = document.querySelector(`details[data-verdict~="${verdict}"]`);
    if (!panel) return false;
    for (const other of document.querySelectorAll("details[data-verdict]")) other.open = other === panel;
    const first = panel.querySelector("textarea:not([disabled]), select:not([disabled]), button:not([disabled])");
    (first || panel.querySelector("summary")).focus();
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && document.querySelector("details[data-verdict][open]")) {
      const shut = document.querySelector("details[data-verdict][open]");
      shut.open = false;
      shut.querySelector("summary").focus();
      return;
    }
    if (typing(event.target)) return;
    const done =
      event.key === "j" || (event.key === "ArrowDown" && links().includes(document.activeElement)) ? move(1)
      : event.key === "k" || (event.key === "ArrowUp" && links().includes(document.activeElement)) ? move(-1)
      : event.key === "a" ? open("approve")
      : event.key === "e" ? open("edit")
      : event.key === "r" ? open("reject")
      : event.key === "w" ? open("respond")
      : event.key === "i" ? (location.assign("/"), true)
      : false;
    if (done) event.preventDefault();
  });
  // What changed in the list while somebody looks is told, and the title counts along.
  const list = document.getElementById("waiting");
  const told = document.getElementById("told");
  if (list && told) {
    const count = () => Number(list.querySelector("[data-count]")?.dataset.count || 0);
    let before = count();
    const look = () => {
      const now = count();
      if (now === before) return;
      told.textContent = now > before ? `${now - before} more wait for you, ${now} in all` : `${now} wait for you`;
      document.title = document.title.replace(/^(\(\d+\) )?/, now ? `(${now}) ` : "");
      before = now;
    };
    new MutationObserver(look).observe(list, { childList: true, subtree: true, attributes: true });
  }
})();
