// The results page: j and k go from hit to hit, ? opens the syntax, a choice applies at once, filters fold on a phone.
(() => {
  const fold = document.querySelector(".fold");
  if (fold && matchMedia("(max-width: 52rem)").matches) fold.open = false;

  const form = document.querySelector("form.search");
  for (const choice of form?.querySelectorAll("select") ?? []) choice.addEventListener("change", () => form.requestSubmit());

  const step = (forward) => {
    const links = [...document.querySelectorAll(".hit h3 a")];
    const current = links.findIndex((link) => link.closest(".hit").contains(document.activeElement));
    const next = links[current < 0 ? (forward ? 0 : links.length - 1) : current + (forward ? 1 : -1)];
    next?.focus();
    next?.closest(".hit").scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.code === "KeyJ" || event.code === "KeyK") { // by the key, so that they work on a Hebrew keyboard as well
      step(event.code === "KeyJ");
    } else if (event.key === "?") {
      const help = document.querySelector(".help");
      if (!help) return;
      help.open = !help.open;
      help.querySelector("summary").focus();
    } else {
      return;
    }
    event.preventDefault();
  });
})();
