// The search box: "/" goes to it, and it offers tags and titles while one types. Without this file it is a plain form.
(() => {
  const input = document.querySelector("#q");
  if (!input) return;

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });

  const list = document.createElement("ul");
  list.id = "suggestions";
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.dataset.list);
  input.after(list);
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
  })) input.setAttribute(name, value);

  let current = -1;
  let typed = input.value;
  let timer = 0;
  let asking = null;
  const answers = new Map();

  const close = () => {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    current = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (index) => {
    const options = [...list.children];
    current = (index + options.length + 1) % (options.length + 1);
    if (current === options.length) current = -1;
    options.forEach((option, place) => option.setAttribute("aria-selected", String(place === current)));
    if (current < 0) {
      input.removeAttribute("aria-activedescendant");
      input.value = typed;
    } else {
      input.setAttribute("aria-activedescendant", options[current].id);
      options[current].scrollIntoView({ block: "nearest" });
    }
  };

  const choose = (option) => {
    close();
    location.assign(option.dataset.address);
  };

  const show = (suggestions) => {
    list.replaceChildren(...suggestions.map(({ text, kind, count, address }, place) => {
      const option = document.createElement("li");
      option.id = `suggestion-${place}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.address = address;
      const words = document.createElement("bdi");
      words.textContent = text;
      const note = document.createElement("small");
      note.textContent = kind === "tag" ? `${input.dataset.tagKind} · ${count}` : input.dataset.titleKind;
      option.append(words, " ", note);
      return option;
    }));
    current = -1;
    input.removeAttribute("aria-activedescendant");
    list.hidden = !suggestions.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };

  const ask = async () => {
    const words = typed.trim();
    if (words.length < 2) return close();
    asking?.abort();
    asking = new AbortController();
    try {
      if (!answers.has(words)) {
        const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(words)}`, { signal: asking.signal });
        if (!answer.ok) return close();
        answers.set(words, (await answer.json()).suggestions);
      }
      if (document.activeElement === input && typed.trim() === words) show(answers.get(words));
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };

  input.addEventListener("input", () => {
    typed = input.value;
    clearTimeout(timer);
    timer = setTimeout(ask, 160);
  });

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) { typed = input.value; ask(); return; }
      mark(event.key === "ArrowDown" ? current + 1 : current < 0 ? list.children.length - 1 : current - 1);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      close();
    } else if (event.key === "Enter" && open && current >= 0) {
      event.preventDefault();
      choose(list.children[current]);
    } else if (event.key === "Tab") {
      close();
    }
  });

  // Pressing must not take the focus from the box: its blur would close the list before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(option);
  });
  input.addEventListener("blur", close);
})();
