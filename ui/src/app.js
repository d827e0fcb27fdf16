// What pages get on top when scripts run: partial updates of lists, copy
// buttons, menus that close, upload progress, charts when one is on the page.
// Every page works without this file.
import htmx from "htmx.org";

// The content-security policy forbids inline style and eval; htmx is told not
// to try.
Object.assign(htmx.config, {
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "422", swap: true },
    { code: "[45]..", swap: false, error: true },
  ],
});

const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

function enhance(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard || !button.hidden) continue;
    button.hidden = false;
    const words = button.querySelector("span");
    const before = words.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      words.textContent = button.dataset.done;
      setTimeout(() => (words.textContent = before), 2000);
    });
  }
  for (const summary of root.querySelectorAll("[data-focus]")) summary.focus({ preventScroll: false });
  for (const form of root.querySelectorAll("form[data-progress]")) upload(form);
  for (const zone of root.querySelectorAll("[data-drop]")) drop(zone);
  forget();
  for (const form of root.querySelectorAll("form.gs-form")) keep(form);
  const charts = root.querySelectorAll("[data-chart]");
  if (charts.length) import("./charts.js").then((m) => m.draw(charts, reduced));
}

// An opened menu closes on Escape, giving the focus back, and on a click
// elsewhere.
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  const nav = document.getElementById("gs-nav-open");
  if (nav && nav.checked) nav.checked = false;
});
document.addEventListener("click", (e) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(e.target)) menu.open = false;
  }
});

// A form is sent once: a second click while the first is under way is not a
// second request.
document.addEventListener("submit", (e) => {
  const form = e.target;
  if (form.method !== "post" || form.dataset.progress !== undefined) return;
  if (form.dataset.sent) {
    e.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 8000);
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What is filled into a form stays in this tab until the server has taken it: a
// session that ends or a wrong click loses nothing. It is offered to the same
// person only, never holds a password or a file, and goes at log-out.
const keptPrefix = "gongshu:form:";
const keepable = (e) => e.name && !e.disabled && !["hidden", "password", "file", "submit", "button"].includes(e.type) && e.tagName !== "BUTTON";
const keptFields = (form) => [...form.elements].filter(keepable);
const state = (form) => JSON.stringify(keptFields(form).map((e) => (e.type === "checkbox" || e.type === "radio" ? [e.name, e.value, e.checked] : e.multiple ? [e.name, [...e.selectedOptions].map((o) => o.value)] : [e.name, e.value])));

function keep(form) {
  const box = form.querySelector("[data-kept]");
  if (!box || form.dataset.keeps || form.querySelector("input[type=password]")) return;
  form.dataset.keeps = "1";
  const key = `${keptPrefix}${document.documentElement.dataset.user || ""}:${new URL(form.action).pathname}:${location.search}`;
  const asServed = state(form);
  const old = JSON.parse(sessionStorage.getItem(key) || "null");
  const refused = form.querySelector(".gs-error-summary");
  if (old && (refused || old.fields === asServed)) sessionStorage.removeItem(key);
  else if (old) {
    box.querySelector("[data-at]").textContent = new Date(old.at).toLocaleString(document.documentElement.lang);
    box.hidden = false;
    box.querySelector("[data-restore]").addEventListener("click", () => {
      const values = JSON.parse(old.fields);
      for (const e of keptFields(form)) {
        const choice = e.type === "checkbox" || e.type === "radio";
        const i = values.findIndex((v) => v[0] === e.name && (!choice || v[1] === e.value));
        if (i < 0) continue;
        if (choice) e.checked = values[i][2];
        else if (e.multiple) for (const o of e.options) o.selected = values[i][1].includes(o.value);
        else e.value = values[i][1];
        values.splice(i, 1);
      }
      for (const d of form.querySelectorAll("details")) d.open = true;
      box.hidden = true;
      (keptFields(form)[0] || form).focus();
    });
    box.querySelector("[data-forget]").addEventListener("click", () => {
      sessionStorage.removeItem(key);
      box.hidden = true;
    });
  }
  let timer;
  const store = (sent) => {
    clearTimeout(timer);
    const fields = state(form);
    if (fields !== asServed || sent) sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), fields, sent }));
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(store, 400, false);
  });
  form.addEventListener("submit", () => store(true));
}

// A page that is neither a refusal nor the log-in says that what was sent arrived;
// a refusal says that it did not.
function forget() {
  const refused = document.querySelector(".gs-error-page, .gs-error-summary, input[name=secret]");
  for (const key of Object.keys(sessionStorage)) {
    if (!key.startsWith(keptPrefix)) continue;
    const kept = JSON.parse(sessionStorage.getItem(key));
    if (kept.sent && refused) sessionStorage.setItem(key, JSON.stringify({ ...kept, sent: false }));
    else if (kept.sent) sessionStorage.removeItem(key);
  }
}
for (const form of document.querySelectorAll('form[action="/console/logout"]')) {
  form.addEventListener("submit", () => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(keptPrefix)) sessionStorage.removeItem(key);
  });
}

// upload sends a form with files and shows how far it is; the answer's page
// takes the place of this one.
function upload(form) {
  const box = form.querySelector("[data-upload]");
  if (!box || form.dataset.ready) return;
  form.dataset.ready = "1";
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "1";
    const bar = box.querySelector("progress");
    const text = box.querySelector("p");
    box.hidden = false;
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.upload.onprogress = (p) => {
      if (!p.lengthComputable) return;
      const percent = Math.floor((p.loaded / p.total) * 100);
      bar.value = percent;
      text.textContent = percent < 100 ? `${text.dataset.text} ${percent}%` : text.dataset.after;
    };
    request.onload = () => {
      if (request.responseURL && new URL(request.responseURL).pathname !== new URL(form.action, location.href).pathname) {
        location.assign(request.responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      document.title = page.title;
      document.querySelector("main").replaceWith(page.querySelector("main"));
      htmx.process(document.querySelector("main"));
      enhance(document.querySelector("main"));
      scrollTo({ top: 0, behavior: reduced ? "auto" : "smooth" });
    };
    request.onerror = () => {
      delete form.dataset.sent;
      delete form.dataset.progress;
      form.submit();
    };
    const data = new FormData(form, e.submitter || null);
    request.send(data);
  });
}

function drop(zone) {
  const input = zone.querySelector("input[type=file]");
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (e) => {
      e.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (e) => {
    e.preventDefault();
    input.files = e.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

// Trying the API: the form's fields become path, query, headers and body of a
// request of this page; the answer is shown as text.
for (const form of document.querySelectorAll("form[data-try]")) {
  form.hidden = false;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const status = form.querySelector("[data-try-status]");
    const answer = form.querySelector("[data-try-answer]");
    let path = form.dataset.path;
    const query = new URLSearchParams();
    const headers = { Accept: "application/json" };
    // A field's name says where its value goes: path, query or header.
    for (const input of form.querySelectorAll("input[name], select[name]")) {
      const value = input.value.trim();
      const at = input.name.indexOf(":");
      const name = input.name.slice(at + 1);
      const where = input.name.slice(0, at);
      if (where === "path") path = path.replace(`{${name}}`, encodeURIComponent(value.replaceAll("/", "-")));
      else if (!value) continue;
      else if (where === "header") headers[name] = /^[ -~]*$/.test(value) ? value : encodeURIComponent(value);
      else if (where === "query") query.append(name, value);
    }
    const key = document.getElementById("api-key").value.trim();
    if (key) headers.Authorization = `Bearer ${key}`;
    const area = form.querySelector("textarea");
    if (area) headers["Content-Type"] = "application/json";
    const text = query.toString();
    const started = performance.now();
    status.textContent = "…";
    try {
      const response = await fetch(path + (text ? `?${text}` : ""), { method: form.dataset.method, headers, body: area ? area.value : undefined, credentials: "same-origin" });
      const raw = await response.text();
      status.textContent = `${response.status} · ${Math.round(performance.now() - started)} ms · ${raw.length.toLocaleString("en")}`;
      try {
        answer.textContent = JSON.stringify(JSON.parse(raw), null, 2).slice(0, 20000);
      } catch {
        answer.textContent = raw.slice(0, 20000);
      }
    } catch (error) {
      status.textContent = String(error);
      answer.textContent = "";
    }
    answer.hidden = !answer.textContent;
  });
}
if (location.hash.startsWith("#op-")) {
  const op = document.getElementById(location.hash.slice(1));
  if (op) op.open = true;
}

// On a narrow screen the results come first: filters are folded until wanted.
if (innerWidth < 1080) for (const box of document.querySelectorAll("details[data-fold]")) box.open = false;

document.addEventListener("htmx:afterSettle", (e) => enhance(e.target));
document.documentElement.classList.add("js");
enhance(document);
