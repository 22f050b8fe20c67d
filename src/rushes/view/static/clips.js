// The list of clips: only what is seen is in the page, whatever the number of clips. Rows come in blocks.

const BLOCK = 100;
const KEPT_BLOCKS = 40;
const GAP = 12;
const grid = document.getElementById("grid");
const blocks = new Map();
const cards = new Map();
let count = Number(grid.dataset.num);
const begin = Number(grid.dataset.begin);
let shape = { columns: 1, width: 200, height: 200 };
let planned = false;
let waiting = 0;

function measure() {
  const width = grid.clientWidth;
  const least = width < 600 ? 150 : 200;
  const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  const card = (width - GAP * (columns - 1)) / columns;
  shape = { columns, width: card, height: Math.round(card * Number(grid.dataset.ratio)) + 108 + GAP };
  grid.style.height = `${Math.ceil(count / columns) * shape.height}px`;
}

function range() {
  const top = -grid.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / shape.height) - 1) * shape.columns;
  const last = Math.min(count, (Math.ceil((top + innerHeight) / shape.height) + 1) * shape.columns);
  return [first, Math.max(first, last)];
}

function rowsOf(block) {
  if (!blocks.has(block)) {
    const query = new URL(grid.dataset.rows, location.href);
    query.searchParams.set("offset", begin + block * BLOCK);
    query.searchParams.set("limit", BLOCK);
    const entry = { rows: null };
    blocks.set(block, entry);
    fetch(query, { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((found) => {
        entry.rows = found ? found.rows : [];
        if (found) grow(found);
        draw();
      })
      .catch(() => blocks.delete(block));
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  }
  return blocks.get(block).rows;
}

// A run that goes on has more clips; one that is still being read too.
function grow(found) {
  const now = Math.max(0, Math.min(Number(grid.dataset.most), found.count - begin));
  document.getElementById("num").textContent = found.count;
  document.getElementById("reading").hidden = found.is_whole;
  document.getElementById("none").hidden = found.count > 0;
  if (now !== count) {
    count = now;
    measure();
  }
  clearTimeout(waiting);
  if (!found.is_whole) waiting = setTimeout(renew, 1000);
}

function renew() {
  blocks.clear();
  for (const card of cards.values()) card.dataset.old = "yes";
  draw();
  if (!count) rowsOf(0);
}

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    draw();
  });
}

function draw() {
  const [first, last] = range();
  for (const [index, card] of cards) {
    if ((index < first || index >= last) && card !== document.activeElement?.closest("li")) {
      card.remove();
      cards.delete(index);
    }
  }
  for (let index = first; index < last; index++) {
    const row = rowsOf(Math.floor(index / BLOCK))?.[index % BLOCK];
    let card = cards.get(index);
    if (row && card && card.dataset.old) {
      if (card.dataset.row === JSON.stringify(row)) delete card.dataset.old;
      else {
        card.remove();
        card = null;
      }
    }
    if (row && !card) {
      card = make(row, index);
      cards.set(index, card);
      grid.append(card);
    }
    if (card) place(card, index);
  }
}

function place(card, index) {
  const column = index % shape.columns;
  card.style.width = `${shape.width}px`;
  card.style.height = `${shape.height - GAP}px`;
  card.style.transform = `translate(${column * (shape.width + GAP)}px, ${Math.floor(index / shape.columns) * shape.height}px)`;
}

function part(name, classes, text) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (value) => (Number.isInteger(value) ? String(value) : Math.abs(value) < 10 ? value.toFixed(2) : value.toPrecision(3));

function make(row, index) {
  const card = part("li", "clip");
  card.dataset.index = index;
  card.dataset.row = JSON.stringify(row);
  card.setAttribute("aria-setsize", count);
  card.setAttribute("aria-posinset", index + 1);
  const query = grid.dataset.query ? `${grid.dataset.query}&at=${begin + index}` : `at=${begin + index}`;
  const link = part("a", "open");
  link.href = `${grid.dataset.clip}${row.key}?${query}`;
  const screen = part("span", "screen");
  if (row.has_frames) {
    const still = part("img");
    still.src = `${grid.dataset.clip}${row.key}/still.webp`;
    still.alt = "";
    still.loading = "lazy";
    still.decoding = "async";
    screen.append(still);
    for (const [event, act] of [["pointerenter", play], ["focusin", play], ["pointerleave", stop], ["focusout", stop]]) {
      link.addEventListener(event, (what) => what.pointerType !== "touch" && act(screen, row));
    }
  } else {
    screen.append(part("span", "soft", "latents only"));
  }
  const text = part("bdi", "text", row.text || "(no prompt)");
  text.dir = "auto";
  const dimension = part("span", "facts-line soft");
  dimension.append(part("span", "", row.dimension));
  const facts = part("span", "facts-line soft");
  facts.append(part("span", "", `${row.used_for} · ${row.model} · take ${row.take + 1}`));
  const scores = part("span", "scores-line");
  if (row.score !== null) scores.append(part("span", "", `judge ${short(row.score)}`));
  if (row.measured !== null) scores.append(part("span", "", `measurer ${short(row.measured)}`));
  if (row.weight !== null) scores.append(part("span", "", `weight ${short(row.weight)}`));
  if (!scores.childNodes.length) scores.append(part("span", "soft", "not judged yet"));
  link.append(screen, text, scores, dimension, facts);
  card.append(link);
  return card;
}

function play(screen, row) {
  if (screen.querySelector("video")) return;
  const video = part("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  video.src = `${grid.dataset.clip}${row.key}/video.mp4`;
  video.setAttribute("aria-hidden", "true");
  screen.append(video);
  video.play().catch(() => {});
}

function stop(screen) {
  const video = screen.querySelector("video");
  if (!video) return;
  video.removeAttribute("src");
  video.load();
  video.remove();
}

grid.addEventListener("keydown", (event) => {
  const card = event.target.closest("li");
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -shape.columns, ArrowDown: shape.columns }[event.key];
  if (!card || !by) return;
  const next = Number(card.dataset.index) + by;
  if (next < 0 || next >= count) return;
  event.preventDefault();
  reveal(next);
  focusWhenThere(next, 40);
});

function reveal(index) {
  const top = grid.getBoundingClientRect().top + Math.floor(index / shape.columns) * shape.height;
  if (top < 110) scrollBy(0, top - 110);
  else if (top + shape.height > innerHeight) scrollBy(0, top + shape.height - innerHeight);
  draw();
}

function focusWhenThere(index, tries) {
  const link = cards.get(index)?.querySelector("a");
  if (link) link.focus({ preventScroll: true });
  else if (tries) setTimeout(() => focusWhenThere(index, tries - 1), 50);
}

addEventListener("scroll", plan, { passive: true });
new ResizeObserver(() => {
  measure();
  plan();
}).observe(document.body);
document.addEventListener("changed", renew);
measure();
draw();
const kept = sessionStorage.getItem(location.href);
if (kept) scrollTo(0, Number(kept));
addEventListener("pagehide", () => sessionStorage.setItem(location.href, String(scrollY)));
if (!count || !document.getElementById("reading").hidden) rowsOf(0);
