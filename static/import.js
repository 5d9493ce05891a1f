// The import pages: a file can be dropped on its field, and the first documents follow what the columns are said to be.
// Without this file both are plain forms.
(() => {
  const field = document.querySelector(".drop"), input = field?.querySelector("input");
  if (field) {
    const over = (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      field.classList.toggle("over", event.type === "dragover");
      if (event.type === "drop") input.files = event.dataTransfer.files;
    };
    for (const name of ["dragover", "dragleave", "drop"]) field.addEventListener(name, over);
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
  // What the file is read as changes its columns: for that there is the button.
  form?.addEventListener("change", (event) => {
    if (event.target.matches("select, [name=tag_separator]")) look();
  });
})();
