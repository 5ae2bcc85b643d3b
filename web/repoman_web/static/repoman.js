// What pages do better with a script; each of them works without.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Copy. Browsers offer the clipboard over HTTPS and on loopback only; elsewhere the older command
// copies what is selected.
const copy = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea");
  box.className = "hidden";
  box.value = text;
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  if (!isCopied) throw new Error("not copied");
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await copy(button.dataset.copy);
  } catch {
    return say("The browser did not copy it. Select the text and copy it yourself.");
  } finally {
    button.focus();
  }
  button.classList.add("is-done");
  say("Copied");
  setTimeout(() => button.classList.remove("is-done"), 1500);
});

// One line for screen readers about what has just happened.
const live = document.createElement("p");
live.className = "hidden";
live.setAttribute("role", "status");
document.body.append(live);
const say = (text) => { live.textContent = ""; requestAnimationFrame(() => { live.textContent = text; }); };

// "/" goes to the search box. Menus need nothing here: the browser opens and closes them.
document.addEventListener("keydown", (event) => {
  const box = document.querySelector("[data-hotkey]");
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (box && event.key === box.dataset.hotkey && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// Times: the tooltip is the reader's own clock; the shown text stays what the server wrote.
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of all("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.getTime())) time.title = `${clock.format(moment)} (${time.title})`;
}

// Light, dark, or as the system: at once, and in a cookie for the next page.
for (const form of all("[data-theme-form]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const theme = event.submitter.value;
    form.hidePopover?.();
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.cookie = `repoman-theme=${theme}; path=${form.dataset.themeForm}; max-age=31536000; samesite=lax`;
    for (const each of all("button", form)) each.setAttribute("aria-pressed", String(each === event.submitter));
  });
}

// Filter what is on the page already: lists that come whole.
for (const input of all("[data-filter]")) {
  const body = document.getElementById(input.dataset.filter);
  const rows = [...(body?.children ?? [])];
  const none = document.createElement("p");
  none.className = "card-foot";
  none.textContent = "Nothing on this page has these words.";
  none.hidden = true;
  body?.closest(".table-frame")?.after(none);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.textContent.toLowerCase().includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    none.hidden = shown > 0;
    say(`${shown} of ${rows.length}`);
  });
}

// What is chosen in a table: the bar above it counts, and has the actions for as many.
for (const bar of all("[data-selection]")) {
  const table = document.getElementById(bar.dataset.selection);
  const picks = all("tbody .pick", table);
  const whole = table.querySelector("thead .pick");
  const update = () => {
    const count = picks.filter((each) => each.checked).length;
    bar.classList.toggle("is-on", count > 0);
    bar.querySelector("output").textContent = `${count} chosen`;
    for (const each of all("[data-needs]", bar)) each.disabled = Number(each.dataset.needs) !== count;
    if (whole) {
      whole.checked = count === picks.length;
      whole.indeterminate = count > 0 && count < picks.length;
    }
  };
  picks.forEach((each) => each.addEventListener("change", update));
  whole?.addEventListener("change", () => { picks.forEach((each) => { each.checked = whole.checked; }); update(); });
  update();
}

// An ordered choice: buttons that send the form where there is no script, or dragging.
for (const picker of all("[data-picker]")) {
  const rows = picker.querySelector(".picker");
  let moving = null;
  const told = (row) => {
    const order = [...rows.children];
    order.forEach((each, place) => {
      each.querySelector('[data-move="up"]').disabled = place === 0;
      each.querySelector('[data-move="down"]').disabled = place === order.length - 1;
    });
    row.dispatchEvent(new Event("input", { bubbles: true }));
    say(`${row.dataset.name} is number ${order.indexOf(row) + 1} of ${order.length}`);
  };
  rows.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest(".picked");
    if (button.dataset.move === "up") row.previousElementSibling?.before(row);
    else row.nextElementSibling?.after(row);
    told(row);
    (button.disabled ? row.querySelector("[data-move]:enabled") : button)?.focus();
  });
  for (const row of rows.children) {
    row.draggable = true;
    row.addEventListener("dragstart", () => { moving = row; row.classList.add("is-moving"); });
    row.addEventListener("dragend", () => { moving = null; row.classList.remove("is-moving"); told(row); });
    row.addEventListener("dragover", (event) => {
      if (!moving) return;
      event.preventDefault();
      if (moving === row) return;
      const box = row.getBoundingClientRect();
      if (event.clientY < box.top + box.height / 2) row.before(moving); else row.after(moving);
    });
  }
}

// A form with changes asks before it is left.
for (const form of all("form[data-guard]")) {
  let changed = form.dataset.guard === "changed";
  form.addEventListener("input", () => { changed = true; form.querySelector("[data-changed]")?.removeAttribute("hidden"); });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}

// A name to be typed before something goes for good.
for (const input of all("[data-must-be]")) {
  const button = input.form.querySelector("[data-final]");
  const update = () => { button.disabled = input.value !== input.dataset.mustBe; };
  input.addEventListener("input", update);
  update();
}

// Files that are dropped on a page go into its input.
const takeDrops = (root) => { for (const drop of all("[data-drop]", root)) {
  const input = document.getElementById(drop.dataset.drop);
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
} };
takeDrops(document);

// Uploads: what has been chosen, and how much of it has been sent. The answer is the next page.
const sizeOf = (bytes) => {
  const unit = Math.min(Math.floor(Math.log2(bytes || 1) / 10), 4);
  return `${(bytes / 1024 ** unit).toFixed(unit ? 1 : 0)}\u00a0${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
};
const takeUploads = (root) => { for (const form of all("form[data-upload]", root)) {
  const input = form.querySelector("input[type=file]"), list = form.querySelector("[data-files]");
  const sending = form.querySelector("[data-sending]"), button = form.querySelector(".button:not(label)");
  const show = () => {
    list.hidden = !input.files.length;
    list.replaceChildren(...[...input.files].map((file) => {
      const row = document.createElement("li"), name = document.createElement("span"), size = document.createElement("span");
      name.className = "grow";
      name.textContent = file.name;
      size.className = "soft small nowrap";
      size.textContent = sizeOf(file.size);
      row.append(name, size);
      return row;
    }));
  };
  input.addEventListener("change", show);
  show();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest(), [bar, text] = sending.children;
    const fail = () => {
      sending.hidden = false;
      bar.hidden = true;
      button.disabled = false;
      text.textContent = "The connection broke. What was stored is stored; send the rest again.";
    };
    sending.hidden = false;
    bar.hidden = false;
    button.disabled = true;
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = 100 * loaded / total;
      text.textContent = loaded < total ? `${sizeOf(loaded)} of ${sizeOf(total)}` : "Storing …";
    });
    request.addEventListener("error", fail);
    request.addEventListener("load", () => {
      const main = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("main");
      if (!main) return fail();
      document.querySelector("main").replaceWith(main);
      takeDrops(main);
      takeUploads(main);
      main.focus();
      say(main.querySelector(".notice")?.textContent.trim() ?? "");
      scrollTo(0, 0);
    });
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.send(new FormData(form));
  });
} };
takeUploads(document);

// When nothing is pressed any more: what moves under a pressed pointer takes its click away.
let released = Promise.resolve();
document.addEventListener("pointerdown", () => {
  released = new Promise((resolve) => {
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(resolve), { once: true });
  });
});

// What is checked by the server while a form is filled in, when a field is left: the answer is the
// text of its hint, as JSON: {"text": "Free.", "tone": "ok"}.
for (const input of all("[data-check]")) {
  input.addEventListener("change", async () => {
    const line = document.getElementById(input.getAttribute("aria-describedby") ?? "");
    if (!line) return;
    const query = new URLSearchParams({ value: input.value });
    const answer = await fetch(`${input.dataset.check}${input.dataset.check.includes("?") ? "&" : "?"}${query}`).catch(() => null);
    if (!answer?.ok) return;
    const { text, tone } = await answer.json();
    await released;
    line.textContent = text;
    line.className = `field-said is-${tone}`;
    input.closest(".field").classList.toggle("is-wrong", tone === "error");
    input.closest(".field").classList.toggle("is-right", tone === "ok");
  });
}

// Buttons that try what is typed: the piece of the answer replaces that of the page, and the form
// stays as it is, with its secrets.
for (const button of all("[data-try]")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    const piece = document.getElementById(button.dataset.try);
    const body = new URLSearchParams(new FormData(button.form, button));
    button.disabled = true;
    say("Trying");
    const answer = await fetch(button.form.action, { method: "POST", body }).catch(() => null);
    button.disabled = false;
    const page = new DOMParser().parseFromString((await answer?.text()) ?? "", "text/html");
    const fresh = page.getElementById(button.dataset.try);
    if (!fresh) return button.form.requestSubmit(button);
    piece.replaceChildren(...fresh.childNodes);
    say(piece.textContent);
  });
}

// Pieces of a page that go on: fetched again while the server marks them so.
const LIVE_MS = 2000, FAILURES_MAX = 5;
const follow = (log) => { log.scrollTop = log.scrollHeight; };
for (const piece of all("[data-live]")) {
  let failures = 0;
  all(".log", piece).forEach(follow);
  const again = () => setTimeout(refresh, LIVE_MS);
  const fail = () => {
    failures += 1;
    if (failures < FAILURES_MAX) return again();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button is-quiet is-small";
    button.textContent = "No connection. Try again";
    button.addEventListener("click", () => { failures = 0; button.remove(); refresh(); });
    piece.append(button);
  };
  const refresh = async () => {
    if (document.hidden) return again();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return fail();
    failures = 0;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(piece.id);
    if (!fresh) return location.reload();
    const before = all(".log", piece).map((log) => [log.scrollTop, log.scrollTop + log.clientHeight >= log.scrollHeight - 20]);
    piece.replaceChildren(...fresh.childNodes);
    all(".log", piece).forEach((log, place) => {
      const [top, isAtEnd] = before[place] ?? [0, true];
      if (isAtEnd) follow(log); else log.scrollTop = top;
    });
    if (fresh.hasAttribute("data-live")) again();
  };
  again();
}

// What the fields of a form would mean, told by the server while they are filled in.
for (const piece of all("[data-preview]")) {
  const form = piece.closest("form");
  form.addEventListener("change", async (event) => {
    if (!event.target.name.startsWith(piece.dataset.prefix)) return;
    const fields = [...new FormData(form)].filter(([name]) => name.startsWith(piece.dataset.prefix));
    const answer = await fetch(`${piece.dataset.preview}?${new URLSearchParams(fields)}`).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    piece.replaceChildren(...page.body.childNodes);
  });
}
