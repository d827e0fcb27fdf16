// Sends what the forms of the API page describe and shows what comes back. The
// key is read from its field each time and kept nowhere.
const key = document.getElementById("api-key");

for (const form of document.querySelectorAll("form[data-try]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = { Accept: "application/json" };
    if (key.value.trim()) headers.Authorization = "Bearer " + key.value.trim();
    let path = form.dataset.path;
    const query = new URLSearchParams();
    let body;
    for (const field of form.elements) {
      if (!field.name || !field.value) continue;
      if (field.name === "body") {
        body = field.value;
        headers["Content-Type"] = "application/json";
        continue;
      }
      const at = field.name.indexOf(":");
      const where = field.name.slice(0, at);
      const name = field.name.slice(at + 1);
      // Resource codes are written with "-" in addresses.
      if (where === "path") path = path.replace("{" + name + "}", encodeURIComponent(field.value.replace("/", "-")));
      else if (where === "query") query.set(name, field.value);
      else if (where === "header") headers[name] = encodeURIComponent(field.value); // Chinese cannot stand in a header as it is
    }
    const address = path + (query.size ? "?" + query : "");
    const out = form.querySelector("output");
    const code = out.querySelector("code");
    out.hidden = false;
    code.textContent = "…";
    const began = performance.now();
    try {
      const answer = await fetch(address, { method: form.dataset.method, headers, body, credentials: "same-origin" });
      let text = await answer.text();
      if ((answer.headers.get("Content-Type") || "").includes("json")) {
        try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
      }
      if (text.length > 100000) text = text.slice(0, 100000) + "\n…";
      const shown = ["Content-Type", "Retry-After", "X-Request-Id", "X-Gongshu-Release"].filter((n) => answer.headers.get(n)).map((n) => n + ": " + answer.headers.get(n));
      code.textContent = form.dataset.method + " " + address + "\n" + answer.status + " " + answer.statusText + " · " + Math.round(performance.now() - began) + " ms\n" + shown.join("\n") + "\n\n" + text;
    } catch (failure) {
      code.textContent = form.dataset.failed + ": " + failure;
    }
  });
}

// An address that names an operation opens it.
const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (named instanceof HTMLDetailsElement) named.open = true;
