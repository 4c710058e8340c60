// Small comforts for every page. Nothing here is needed: without scripts the same pages work,
// and what only a script can do stays hidden.

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const told = document.querySelector(`[data-copied="${button.dataset.copy}"]`);
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    told.textContent = (await copy(field.value)) ? "Copied." : "Press Ctrl+C (or ⌘C) to copy.";
  });
  field.addEventListener("focus", () => field.select());
}

// The clipboard is only given to secure origins; on a plain home network the older way still works.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  const hide = () => {
    field.type = "password";
    button.textContent = "Show";
    button.setAttribute("aria-pressed", "false");
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    if (field.type === "text") return hide();
    field.type = "text";
    button.textContent = "Hide";
    button.setAttribute("aria-pressed", "true");
  });
  // A browser offers to save a password only from a password field.
  field.form.addEventListener("submit", hide);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A slash goes to the search field, as in many libraries.
const search = document.getElementById("q");
if (search) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
}
