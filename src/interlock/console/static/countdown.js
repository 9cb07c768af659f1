// Deadlines count down against the server's clock, which the page's own <time> element told.
(() => {
  "use strict";
  const told = document.querySelector("meta[name='server-time']");
  const ahead = told ? Date.parse(told.content) - Date.now() : 0;
  const words = (seconds) => {
    if (seconds <= 0) return "deadline passed";
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor((seconds % 86400) / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    if (days) return `${days} d ${hours} h left`;
    if (hours) return `${hours} h ${minutes} min left`;
    if (minutes >= 10) return `${minutes} min left`;
    return minutes ? `${minutes} min ${seconds % 60} s left` : `${seconds} s left`;
  };
  const tick = () => {
    for (const one of document.querySelectorAll("time[data-deadline]")) {
      const seconds = Math.floor((Date.parse(one.dateTime) - Date.now() - ahead) / 1000);
      const text = words(seconds);
      if (one.textContent !== text) one.textContent = text;
      one.classList.toggle("soon", seconds < 300);
    }
  };
  tick();
  setInterval(tick, 1000);
})();
