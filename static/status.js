// The status page looks again every 15 seconds while it is seen; what is open stays open, and nothing moves under a
// reader who has marked some of it or is in it with the keyboard.
(() => {
  const EVERY_MS = 15000;
  const opener = () => document.activeElement?.closest("[data-live] summary")?.parentElement.id;
  const busy = () =>
    document.hidden || String(getSelection()) || (document.activeElement?.closest("[data-live]") && !opener());
  const replace = (section, next) => {
    for (const open of section.querySelectorAll("details[open]")) next.querySelector(`#${open.id}`)?.setAttribute("open", "");
    section.replaceChildren(...next.childNodes);
  };
  const look = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || busy()) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html"), held = opener();
      for (const section of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(section.id);
        if (next) replace(section, next);
      }
      if (held) document.querySelector(`#${held} > summary`)?.focus({ preventScroll: true });
    } catch { /* the next look may find the site again */ }
  };
  setInterval(look, EVERY_MS);
})();
