// Steps through a run: what comes after the chosen event is dimmed, and the graph shows the node that acted.
(() => {
  "use strict";
  const slider = document.getElementById("step");
  if (!slider) return;
  const events = [...document.querySelectorAll(".timeline > li[data-seq]")];
  const says = document.getElementById("step-says");
  const show = () => {
    const at = Number(slider.value);
    let now = null;
    for (const event of events) {
      const seq = Number(event.dataset.seq);
      event.classList.toggle("later", seq > at);
      event.classList.toggle("now", seq === at);
      if (seq === at) now = event;
    }
    if (!now) return;
    const text = `event ${at}: ${now.querySelector(".words").textContent.trim()}`;
    says.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const node of document.querySelectorAll(".graph [data-node]")) {
      const own = node.closest("[data-agent]").dataset.agent;
      node.classList.toggle("current", own === now.dataset.agent && node.dataset.node === now.dataset.node);
    }
  };
  slider.addEventListener("input", show);
  slider.hidden = false;
  show();
})();
