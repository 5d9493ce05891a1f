// The import pages: a file can be dropped on its field, and the first documents follow what the columns are said to be.
// Without this file both are plain forms.
(() => {
  const field = document.querySelector(".drop"), input = field?.querySelector("input");
  const upload = input?.form;
  let dropped = []; // [path, file] of a folder, which no field can hold

  const filesOf = async (entry) => {
    if (entry.isFile) return [[entry.fullPath.slice(1), await new Promise((found, failed) => entry.file(found, failed))]];
    const reader = entry.createReader(), inside = [];
    for (;;) { // a hundred at a time
      const some = await new Promise((found, failed) => reader.readEntries(found, failed));
      if (!some.length) break;
      inside.push(...some);
    }
    return (await Promise.all(inside.map(filesOf))).flat();
  };

  const drop = async (event) => {
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    dropped = [];
    if (!entries.some((entry) => entry.isDirectory)) input.files = event.dataTransfer.files;
    else dropped = (await Promise.all(entries.map(filesOf))).flat();
    const told = field.querySelector(".dropped");
    told.textContent = dropped.length ? `${told.dataset.dropped} ${dropped.length}` : "";
  };

  if (field) {
    const over = (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      field.classList.toggle("over", event.type === "dragover");
      if (event.type === "drop") drop(event);
    };
    for (const name of ["dragover", "dragleave", "drop"]) field.addEventListener(name, over);
    const folder = upload.querySelector(".folder"); // one field takes either files or a folder
    folder.hidden = !("webkitdirectory" in input);
    folder.addEventListener("click", () => {
      input.webkitdirectory = true;
      input.click();
    });
    for (const name of ["change", "cancel"]) input.addEventListener(name, () => { input.webkitdirectory = false; });
    input.addEventListener("change", () => { dropped = []; });
    upload.addEventListener("submit", async (event) => {
      if (!dropped.length) return;
      event.preventDefault();
      const body = new FormData(upload);
      body.delete("file");
      for (const [path, file] of dropped) body.append("file", file, path);
      const answer = await fetch(upload.action, { method: "POST", body });
      if (answer.redirected) return location.assign(answer.url);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
    });
  }

  const form = document.querySelector(".columns-form");
  let asking = null;
  const look = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.columns, { method: "POST", body, signal: asking.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("#preview");
      if (fresh) document.querySelector("#preview").replaceChildren(...fresh.childNodes);
    } catch { /* the button shows the documents anew */ }
  };
  // What the file is read as changes its columns: another sheet is shown at once, and for the rest there is the button.
  form?.addEventListener("change", (event) => {
    if (event.target.matches("[name^=use-], [name=tag_separator]")) look();
    if (event.target.matches("select[name=sheet]")) {
      form.action = form.dataset.columns;
      form.submit();
    }
  });
})();
