// The status page looks again every 15 seconds, while it is seen and nobody reads or marks something in it.
(() => {
  const EVERY_MS = 15000;
  const busy = () =>
    document.hidden || String(getSelection()) || document.activeElement?.closest("[data-live]");
  const look = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const section of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(section.id);
        if (!next) continue;
        for (const open of section.querySelectorAll("details[open]")) next.querySelector(`#${open.id}`)?.setAttribute("open", "");
        section.replaceChildren(...next.childNodes);
      }
    } catch { /* the next look may find the site again */ }
  };
  setInterval(look, EVERY_MS);
})();
