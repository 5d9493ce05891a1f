// Results by words are there at once; while the model loads, ask again and swap in the results that meaning has joined.
(() => {
  const FIRST_MS = 700;
  const LONGEST_MS = 5000;
  const GIVE_UP_MS = 30000;
  const began = performance.now();

  // The same place in the new results: focus must not jump to the top of the page.
  const place = (results) => {
    const focused = document.activeElement;
    if (!results.contains(focused)) return null;
    const details = focused.closest("details");
    return focused.href
      ? (fresh) => [...fresh.querySelectorAll("a[href]")].find((link) => link.href === focused.href)
      : (fresh) => details && fresh.querySelectorAll("summary")[[...results.querySelectorAll("summary")].indexOf(focused)];
  };

  const swap = (results, fresh) => {
    const refocus = place(results);
    const opened = new Set([...results.querySelectorAll("details[open]")].map((one) => one.dataset.of));
    for (const details of fresh.querySelectorAll("details")) details.open = opened.has(details.dataset.of);
    const target = refocus?.(fresh);
    results.replaceWith(fresh);
    target?.focus({ preventScroll: true });
    if (fresh.dataset.state !== "loading") document.querySelector("#announce").textContent = fresh.dataset.joined;
  };

  const ask = async (wait_ms) => {
    const results = document.querySelector("#results");
    if (!results || results.dataset.state !== "loading" || performance.now() - began > GIVE_UP_MS) return;
    try {
      const answer = await fetch(results.dataset.part, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("#results");
        if (fresh && fresh.dataset.state !== "loading") return swap(results, document.adoptNode(fresh));
      } else if (answer.status === 429) {
        return;
      }
    } catch { /* the network was away for a moment; ask again */ }
    later(Math.min(wait_ms * 1.5, LONGEST_MS));
  };
  const later = (wait_ms) => setTimeout(ask, wait_ms, wait_ms);
  later(FIRST_MS);
})();
